import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Wire } from './wire.ts'

/** What a message of these bytes is given on as, written in chunks as a socket would. */
const pieces = async (message: Buffer, bare: 'Refuse' | 'Normalise' = 'Refuse'): Promise<Buffer[]> => {
  const given: Buffer[] = []
  const nothing = (): void => {}
  const wire = new Wire({ line: nothing, lineTooLong: nothing, data: async (piece) => void given.push(piece), bareOctet: nothing, dataEnd: async () => {}, early: nothing, end: nothing, gather: nothing, release: nothing }, 1000)
  wire.open = true
  wire.startData(bare)
  for (let at = 0; at < message.length; at += 65_536) await new Promise<void>((resolve, reject) => void wire.write(message.subarray(at, at + 65_536), (error) => (error ? reject(error) : resolve())))
  return given
}

describe('1 MiB of DATA', () => {
  const lines = (line: string): Buffer => Buffer.from(line.repeat(Math.ceil(2 ** 20 / line.length)))
  for (const [what, line, becomes, bare] of [
    ['plain lines', `${'x'.repeat(70)}\r\n`, `${'x'.repeat(70)}\r\n`],
    ['lines that are two dots', '..\r\n', '.\r\n'],
    ['empty lines', '\r\n', '\r\n'],
    ['lines of one dot and a letter', '.a\r\n', 'a\r\n'],
    ['bare LF, normalised', 'a\n', 'a\r\n', 'Normalise'],
    ['bare CR, normalised', 'a\rb', 'a b', 'Normalise'],
  ] as const) {
    it(`in ${what} is given on whole, in at most 24 pieces: 1 for each of its 16 chunks, and a short last one as it is`, async () => {
      const message = lines(line)
      const given = await pieces(message, bare)
      assert.ok(given.length <= 24, `${given.length} pieces`)
      assert.ok(Buffer.concat(given).equals(Buffer.from(becomes.repeat(message.length / line.length))))
    })
  }
})
