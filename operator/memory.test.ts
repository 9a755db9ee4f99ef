import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentsOf, gather } from './gather/internal.ts'
import { Memory } from './memory.ts'
import { nothingMade, nothingSeen, plan, type Observed, type Seen } from './plan/index.ts'

const manifest = JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'mx.example' } })
const { view } = plan({ declared: gather(documentsOf('given.yaml', manifest).documents).declared, made: nothingMade, clusterDomain: 'cluster.local' }).snapshots[0]!
const answer = (change: Partial<Observed['pods'][number]>): Observed => ({ pods: [{ name: 'a', ready: true, revision: 'r', ...change }], queueNodes: [], addresses: [] })
const seen: Seen = { ...nothingSeen, nodeAddresses: ['10.84.0.0/31', '10.0.0.2'] }

test('a client with the address of a node is news once, for its 1 listener', () => {
  const memory = new Memory()
  const observed = answer({ clients: { mx: ['10.84.3.3', '10.84.0.1'], submission: ['10.84.3.3'] } })
  assert.deepEqual(memory.noteClients(view, 'r', observed, seen), [{ relay: 'mail/main', listener: 'mx', address: '10.84.0.1' }])
  assert.deepEqual(Object.keys(memory.hidden('mail/main')), ['mx'])
  assert.deepEqual(memory.noteClients(view, 'r', observed, { ...seen, relays: { 'mail/main': { hidden: memory.hidden('mail/main'), strangers: {} } } }), [])
})

test('of a listener named constructor, which every object has, 0 clients are seen where no pod saw any', () => {
  const named = { ...view, listeners: [{ ...view.listeners[0]!, name: 'constructor' }] }
  assert.deepEqual(new Memory().noteClients(named, 'r', answer({ clients: {} }), seen), [])
})

test('0 clients count of a pod that runs another snapshot, where no node has the address, and where a test believes all', () => {
  const memory = new Memory()
  const observed = answer({ clients: { mx: ['10.84.0.1'] } })
  assert.deepEqual([memory.noteClients(view, 'newer', observed, seen), memory.noteClients(view, 'r', observed, nothingSeen), memory.noteClients(view, 'r', observed, { ...seen, believeAll: true })], [[], [], []])
})

test('a router is news once, is known of all relays of its namespace and of 0 others, and goes with the last of 2 relays that had it', () => {
  const memory = new Memory()
  const routed = answer({ gateways: ['10.84.0.1'] })
  assert.deepEqual([memory.noteGateways('mail/a', routed), memory.noteGateways('mail/a', routed), memory.noteGateways('mail/b', routed)], [true, false, true])
  assert.deepEqual([memory.gateways('mail/main'), memory.gateways('mailroom/main')], [['10.84.0.1'], []])
  memory.keep(new Set(['mail/b']))
  assert.deepEqual([memory.gateways('mail/b'), memory.knows('mail/a')], [['10.84.0.1'], false])
})

test('a router of 1 relay is a node for its own clients, and for those of a relay in another namespace it is none', () => {
  const observed = answer({ clients: { mx: ['10.99.0.1'] } })
  const seenWith = (relay: string): Seen => ({ ...nothingSeen, relays: { [relay]: { hidden: {}, strangers: {}, gateways: ['10.99.0.1'] } } })
  assert.deepEqual([new Memory().noteClients(view, 'r', observed, seenWith('mail/main')).length, new Memory().noteClients(view, 'r', observed, seenWith('tenant/main')).length], [1, 0])
})

test('what a pod said is recalled when it does not answer: 59.999 s after, not 60 s after, and not once the pod was away', () => {
  const memory = new Memory()
  const durable = { ok: true, reason: 'Durable', text: 'synced' }
  const lately = ({ pods }: Observed): unknown => pods[0]?.lately
  const silent: Observed = { pods: [{ name: 'a', ready: true, why: 'timeout' }], queueNodes: [], addresses: [] }
  assert.equal(lately(memory.recall('mail/main', silent, 0)), undefined)
  assert.equal(lately(memory.recall('mail/main', answer({ durable }), 1_000)), undefined)
  assert.deepEqual([lately(memory.recall('mail/main', silent, 60_999)), lately(memory.recall('mail/main', silent, 61_000)), lately(memory.recall('mail/other', silent, 2_000))], [{ revision: 'r', durable }, undefined, undefined])
  memory.recall('mail/main', answer({ durable }), 70_000)
  memory.recall('mail/main', { ...silent, pods: [] }, 71_000)
  assert.equal(lately(memory.recall('mail/main', silent, 72_000)), undefined)
})
