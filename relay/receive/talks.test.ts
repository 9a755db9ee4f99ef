// Plays every dialog of talks/ against a receiver of its own; the file's name begins with the listener it is meant for.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { playTalkFile } from '../../test/tools/talk.ts'
import { plainLogin, startTestReceiver } from '../../test/tools/receive.ts'

const folder = join(import.meta.dirname, 'talks')
const files = readdirSync(folder).filter((file) => file.endsWith('.talk'))

test('there are dialogs for all 3 kinds of listener', () => {
  assert.deepEqual([...new Set(files.map((file) => file.split('-')[0]))].sort(), ['smtp', 'submission', 'submissions'])
})

const listenerOf: Readonly<Record<string, string>> = { smtp: 'mx', submission: 'submission', submissions: 'submissions' }

for (const file of files) {
  test(`dialog ${file}`, async () => {
    const receiver = await startTestReceiver()
    const listener = listenerOf[file.split('-')[0]!]!
    try {
      await playTalkFile(join(folder, file), { port: receiver.port(listener), implicitTls: listener === 'submissions', words: { login: plainLogin() } })
    } finally {
      await receiver.stop()
    }
  })
}
