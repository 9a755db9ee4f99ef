import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startTestNats } from '../../test/tools/nats.ts'
import { sleep, until } from '../../test/tools/until.ts'
import { openJetStream } from './jetstream.ts'

const soonMs = 30_000 // without it: never
const electedMs = 90_000 // the server that hangs may have been the leader of the three

/** A connection to the first of three servers, which knows only that one until it is told of the others. */
const toTheFirst = async (t: TestContext) => {
  const nats = await startTestNats(3)
  t.after(() => nats.stop())
  const stream = openJetStream({ servers: [nats.urls[0]!], name: 'hops', clientName: 'hops' })
  t.after(() => stream.close())
  const holds = async (index: number): Promise<boolean> => (await (await fetch(`${nats.monitorUrls[index]}/connz`)).text()).includes('"hops"')
  const isElsewhere = async (): Promise<boolean> => (await holds(1)) || (await holds(2))
  await until('a connection to the first', () => holds(0), 60_000)
  await sleep(1_000) // by itself the client passes over only whom it has connected to just now
  return { first: nats.servers[0]!, stream, isElsewhere }
}

test('connecting anew, a relay at 1 of 3 servers that answers is soon at another', async (t) => {
  const { stream, isElsewhere } = await toTheFirst(t)
  stream.reconnect()
  await until('a connection to another', isElsewhere, soonMs)
  await until('it is used', async () => (await stream.api('INFO')) !== undefined, electedMs)
})

test('of a server that hangs with 32 MB of ours on their way a relay is rid as soon, though nobody closes the connection', async (t) => {
  const { first, stream, isElsewhere } = await toTheFirst(t)
  first.pause()
  t.after(() => first.resume())
  for (let n = 0; n < 64; n++) stream.tell('hops', Buffer.alloc(500_000))
  await sleep(500)
  assert.equal(await isElsewhere(), false)
  stream.reconnect()
  await until('a connection to another', isElsewhere, soonMs)
  await until('it is used', async () => (await stream.api('INFO')) !== undefined, electedMs)
})
