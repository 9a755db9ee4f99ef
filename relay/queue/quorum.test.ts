import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { until } from '../../test/tools/until.ts'
import { makeStream, streamConfig } from './durable.ts'
import { openJetStream } from './jetstream.ts'
import { hasQuorum, isCurrent } from './quorum.ts'

const heard = (seconds: number) => ({ active: seconds * 1e9 })

test('a quorum: 1 server alone, a leader that heard 1 of 2 others within 4 s; none: 2 silent, 2 offline, or no leader', () => {
  assert.equal(hasQuorum({}), true)
  assert.equal(hasQuorum({ cluster: { leader: 'n0' } }), true)
  assert.equal(hasQuorum({ cluster: { leader: 'n0', replicas: [heard(0.5), heard(3600)] } }), true)
  assert.equal(hasQuorum({ cluster: { leader: 'n0', replicas: [heard(4), heard(5)] } }), false)
  assert.equal(hasQuorum({ cluster: { leader: 'n0', replicas: [{ ...heard(1), offline: true }, { offline: true }] } }), false)
  assert.equal(hasQuorum({ cluster: { replicas: [heard(0.5), heard(0.5), heard(0.5)] } }), false)
  assert.equal(hasQuorum({ cluster: { leader: 'n0', replicas: [heard(1), heard(1), heard(9), heard(9)] } }), true)
  assert.equal(hasQuorum({ cluster: { leader: 'n0', replicas: [heard(1), heard(9), heard(9), heard(9)] } }), false)
})

test('of 3 servers the leader and the 1 that is current have everything, the 1 that catches up has not; a server alone has', () => {
  const cluster = { leader: 'n0', replicas: [{ name: 'n1', current: true }, { name: 'n2', current: false }] }
  assert.deepEqual(['n0', 'n1', 'n2', 'n3'].map((server) => isCurrent({ cluster }, server)), [true, true, false, false])
  assert.equal(isCurrent({}, undefined), true)
})

test('of 3 servers 2 are gone: the 3rd goes on answering questions about the stream, and none of it is its state', async () => {
  const nats = await startTestNats(3)
  const stream = openJetStream({ servers: [nats.urls[0]!], name: 'alone' })
  const info = () => stream.api('STREAM.INFO.alone')
  try {
    await until('a stream', async () => (await makeStream(stream, streamConfig('alone', 3)))?.config !== undefined, 30_000)
    await until('its state', async () => (await stream.state()) !== undefined, 60_000)
    await Promise.all([1, 2].map((index) => nats.kill(index)))
    await until('no state', async () => (await info())?.config !== undefined && (await stream.state()) === undefined, 30_000)
    await until('no leader', async () => ((await info())?.cluster as { leader?: string } | undefined)?.leader === undefined, 40_000)
    assert.equal(await stream.state(), undefined)
  } finally {
    await stream.close()
    await nats.stop()
  }
})
