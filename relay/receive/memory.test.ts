// What a stranger's long lines leave behind: nothing in proportion to their length, however many there are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collected, heapMegabytes as megabytes } from '../../test/tools/heap.ts'
import { greetedBy, startReceiver } from '../../test/tools/session.ts'
import { listenerLimitsSchema } from '../snapshot/index.ts'
import { parsePath } from './address.ts'
import { Incoming } from './incoming.ts'
import type { BodySink } from './state.ts'

const buffersInMegabytes = async (): Promise<number> => (await collected()).arrayBuffers / 1e6
const asRead = (text: string): string => Buffer.from(text).toString('utf8') // a line comes as one string of its own

test('8,192 domains of 12,000 letters, and as many short ones in lines as long, are remembered in less than 8 MB', () => {
  const before = megabytes()
  for (let n = 0; n < 8192; n++) parsePath(asRead(`<a@${'x'.repeat(12_000)}${n}.example>`))
  for (let n = 0; n < 8192; n++) parsePath(asRead(`<a@a-short-domain-${n}.example>${' '.repeat(12_000)}`))
  const grown = megabytes() - before
  assert.ok(grown < 8, `${grown.toFixed(1)} MB`)
})

test('1,000 recipients of one message, named in lines of 12,000 octets, take less than 4 MB', async (t) => {
  const receiver = await startReceiver(t)
  const line = await greetedBy(t, receiver)
  await line.ask('MAIL FROM:<a@client.example>')
  const before = megabytes()
  for (let n = 0; n < 1000; n++) assert.match(await line.ask(`RCPT TO:${' '.repeat(12_000)}<a-recipient-with-a-name-${n}@hosted.example> ORCPT=rfc822;a-recipient-with-a-name-${n}@hosted.example`), /^250 /)
  line.transcript.length = 0
  const grown = megabytes() - before
  assert.ok(grown < 4, `${grown.toFixed(1)} MB`)
})

test('100 messages of which 900,000 octets of header came, and no end of it, hold less than 15 MB together', async () => {
  const sink: BodySink = { write: async () => {}, end: async () => ({ inline: Buffer.alloc(0) }), abandon: async () => {} }
  const listener = listenerLimitsSchema.parse({})
  const field = `X: ${'y'.repeat(87)}\r\n`
  const before = await buffersInMegabytes()
  const messages = Array.from({ length: 100 }, () => new Incoming(sink, { bytes: 50_000_000, bytesManifest: 'MailRelay mail/main', listener }))
  for (const message of messages) for (let sent = 0; sent < 900_000; sent += 60_000) await message.piece(Buffer.from(field.repeat(60_000 / field.length)))
  const grown = (await buffersInMegabytes()) - before
  assert.ok(grown < 15, `${grown.toFixed(1)} MB`)
  assert.equal(messages[0]!.header().fields, 15 * Math.floor(60_000 / field.length))
})
