// Plays every dialog of talks/ against a receiver of its own; the file's name begins with the listener it is meant for.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { playTalkFile } from '../../test/tools/talk.ts'
import { plainLogin, startTestReceiver, testSecret, testSnapshot } from '../../test/tools/receive.ts'

const folder = join(import.meta.dirname, 'talks')
const files = readdirSync(folder).filter((file) => file.endsWith('.talk'))

test('there are dialogs for all 3 kinds of listener', () => {
  assert.deepEqual([...new Set(files.map((file) => file.split('-')[0]!))].toSorted((a, b) => a.localeCompare(b)), ['smtp', 'submission', 'submissions'])
})

const listenerOf: Readonly<Record<string, string>> = { smtp: 'mx', submission: 'submission', submissions: 'submissions' }

/** `# kept: n` says how many messages must have been stored, `# text: /…` what the last must look like. */
const checkKept = (talk: string, kept: readonly string[]): void => {
  const [, count] = /^# kept: (\d+)$/m.exec(talk) ?? []
  const [, pattern] = /^# text: (.*)$/m.exec(talk) ?? []
  if (count !== undefined) assert.equal(kept.length, Number(count))
  if (pattern !== undefined) assert.match(kept.at(-1) ?? '', new RegExp(pattern))
}

for (const file of files) {
  test(`dialog ${file}`, async () => {
    const receiver = await startTestReceiver(testSnapshot(), { callout: (_, { local }) => Promise.resolve(local === 'yes' || local === 'no' ? local : 'unknown') })
    const listener = listenerOf[file.split('-')[0]!]!
    try {
      await playTalkFile(join(folder, file), { port: receiver.port(listener), implicitTls: listener === 'submissions', words: { login: plainLogin(), password: Buffer.from(testSecret).toString('base64') } })
      checkKept(readFileSync(join(folder, file), 'utf8'), receiver.queue.kept.map(({ text }) => text))
    } finally {
      await receiver.stop()
    }
  })
}
