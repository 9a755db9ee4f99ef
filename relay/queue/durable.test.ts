import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { checkDurable, streamConfig } from './durable.ts'

/** The monitoring address of a server; undefined: nobody is there. */
const monitor = async (t: TestContext, syncAlways: boolean | undefined): Promise<string> => {
  const port = await freePort()
  const server = createServer((_, answer) => answer.end(JSON.stringify({ config: { sync_always: syncAlways } })))
  if (syncAlways !== undefined) await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${port}`
}

const cases: readonly (readonly [what: string, replicas: 1 | 3 | 5, said: readonly (boolean | undefined)[], expected: string])[] = [
  ['3 of 3 servers', 3, [true, true, true], 'true Durable'],
  ['2 of 3 servers, a majority', 3, [true, true, undefined], 'true Durable'],
  ['1 of 3 servers', 3, [true, undefined, undefined], 'false SyncUnknown'],
  ['2 of 5 servers', 5, [true, true, undefined, undefined, undefined], 'false SyncUnknown'],
  ['1 of 1 server', 1, [true], 'true Durable'],
  ['2 of 3 servers, while the 3rd says otherwise', 3, [true, true, false], 'false SyncNotAlways'],
  ['the 1 address that is known of 3 servers, so that 2 are trusted', 3, [true], 'true SyncTrusted'],
]
for (const [what, replicas, said, expected] of cases) {
  test(`sync_always said by ${what} is ${expected}`, async (t) => {
    const monitorUrls = await Promise.all(said.map((one) => monitor(t, one)))
    const found = await checkDurable({ maxPayload: () => 1_048_576, api: () => Promise.resolve({ config: streamConfig('mail', replicas) }) }, { name: 'mail', replicas, monitorUrls })
    assert.equal(`${found?.ok} ${found?.reason}`, expected)
  })
}

const edited: readonly (readonly [what: string, config: object])[] = [
  ['takes no record above 10 KB', { max_msg_size: 10_000 }],
  ['takes no more than 5 readers', { max_consumers: 5 }],
  ['lets nothing be removed', { deny_delete: true }],
  ['lets nothing be purged', { deny_purge: true }],
  ['deletes mail past 1 GB', { max_bytes: 1e9 }],
  ['deletes mail past 1,000,000 records', { max_msgs: 1_000_000 }],
  ['deletes mail after 7 days', { max_age: 7 * 86_400e9 }],
  ['keeps 1 record of a subject', { max_msgs_per_subject: 1 }],
  ['is kept in memory', { storage: 'memory' }],
  ['is kept by 1 server where 3 are wanted', { num_replicas: 1 }],
  ['deletes what was acknowledged', { retention: 'workqueue' }],
  ['takes no batches', { allow_atomic: false }],
  ['takes no schedules', { allow_msg_schedules: false }],
  ['takes no leases that expire', { allow_msg_ttl: false }],
  ['answers at its leader alone', { allow_direct: false }],
  ['knows a record again for 1 minute, not 2', { duplicate_window: 60e9 }],
  ['leaves a marker for what expires', { subject_delete_marker_ttl: 60e9 }],
  ['has 32 lanes', { metadata: { posthouse_lanes: '32' } }],
  ['says nothing of its lanes', { metadata: {} }],
  ['has no subject for what is on hold', { subjects: ['ready', 'later', 'body', 'end', 'done', 'own', 'epoch'].map((kind) => `mail.${kind}.>`) }],
]
for (const [what, config] of edited) {
  test(`a stream that ${what} is not as it must be`, async (t) => {
    const found = await checkDurable({ maxPayload: () => 1_048_576, api: () => Promise.resolve({ config: { ...streamConfig('mail', 3), ...config } }) }, { name: 'mail', replicas: 3, monitorUrls: [await monitor(t, true)] })
    assert.equal(`${found?.ok} ${found?.reason}`, 'false StreamMismatch')
    assert.equal(found?.text.split('; ').length, 1, found?.text)
  })
}

test('a stream on servers that take records of 300 KB at most is not as it must be', async (t) => {
  const found = await checkDurable({ maxPayload: () => 307_200, api: () => Promise.resolve({ config: streamConfig('mail', 1) }) }, { name: 'mail', replicas: 1, monitorUrls: [await monitor(t, true)] })
  assert.equal(`${found?.ok} ${found?.reason}`, 'false StreamMismatch')
})
