// A reload that is refused leaves everything as it was: also a port that another process takes in that moment.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { startTestReceiver, testSnapshot } from '../../test/tools/receive.ts'
import { greetedBy, sendMail, waitUntil } from '../../test/tools/session.ts'
import { silentLog, type LogFields } from '../report/index.ts'
import type { SnapshotInput } from '../snapshot/index.ts'

const isOpen = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false))
})
const renamed = (input: SnapshotInput): void => {
  input.listeners[0]!.name = 'renamed'
  for (const domain of input.domains!) domain.listeners = ['renamed']
}

test('a port that is taken while a reload is refused is open again once it is free, and says so; it stayed closed', async (t) => {
  const taker = createServer()
  t.after(() => taker.close())
  const said: string[] = []
  const note = (code: string, { listener }: LogFields = {}): void => void said.push(`${code} ${String(listener)}`)
  let port = 0
  const receiver = await startTestReceiver(testSnapshot(), {
    log: { ...silentLog, info: note, error: note },
    bind: ({ name }) => {
      if (name === 'renamed' && !taker.listening) taker.listen(port) // mx has just let go of it
      return { host: '127.0.0.1', port: name === 'renamed' ? port : 0 }
    },
  })
  t.after(() => receiver.stop())
  port = receiver.port('mx')
  await assert.rejects(receiver.receiving.reload(testSnapshot(renamed)), /EADDRINUSE/)
  await assert.rejects(receiver.receiving.reload(testSnapshot(renamed)), /EADDRINUSE/) // the snapshot is tried again
  assert.deepEqual(said, ['LISTENER_SHUT mx'])
  taker.close()
  await once(taker, 'close')
  await waitUntil(() => said.includes('LISTENER_BACK mx'))
  assert.equal(await isOpen(port), true)
  assert.match(await sendMail(await greetedBy(t, receiver)), /^250 /)
  await receiver.receiving.reload(testSnapshot((input) => void input.listeners.shift()))
  assert.equal(await isOpen(port), false)
})
