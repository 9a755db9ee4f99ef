import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentsOf, gather } from './gather/internal.ts'
import { nothingMade, nothingSeen, plan, statusesOf, type ObservedPod, type RelayView } from './plan/index.ts'
import { Prober, type Target } from './probe/index.ts'
import { targetOf } from './strangers.ts'
import type { Watched } from './watched.ts'

const service = { spec: { clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'] } }
const watched = { get: () => service, all: () => [] } as unknown as Watched

const listener = (name: string, port: number): object => ({ name, protocol: 'SMTP', port })
/** A MailRelay in force, with listeners `mx` and what is added. */
const relayWith = (...added: readonly object[]): { readonly view: RelayView; readonly say: (attempts: ReturnType<Prober['attempts']>) => string } => {
  const manifest = JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail', generation: 1 + added.length }, spec: { hostname: 'mx.example', listeners: [listener('mx', 25), ...added] } })
  const { declared } = gather(documentsOf('given.yaml', manifest).documents)
  const { snapshots, conditions } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' })
  const { view } = snapshots[0]!
  const say = (attempts: ReturnType<Prober['attempts']>): string => {
    const views = [{ view, revision: 'r2', observed: { pods: [], queueNodes: [], addresses: [] }, attempts }]
    const [status] = statusesOf({ manifests: declared.relays, conditions, views, seen: nothingSeen, mistaken: [], controllerName: 'test', bindings: new Map(), records: new Map() })
    const { status: is, reason, message } = status!.status.conditions.find(({ type }) => type === 'OpenRelayProbe')!
    return `${is} ${reason}: ${message}`
  }
  return { view, say }
}
const main = relayWith()

const pod = (name: string, change: Partial<ObservedPod> = {}): ObservedPod => ({ name, ready: true, revision: 'r2', address: `10.0.0.${name}`, ...change })
const silent = (name: string, lately: string): ObservedPod => ({ name, ready: true, address: `10.0.0.${name}`, lately: { revision: lately, durable: { ok: true, reason: 'Durable', text: '' } } })
const target = (...pods: readonly ObservedPod[]): Target => targetOf({ view: main.view, revision: 'r2', observed: { pods, queueNodes: [], addresses: [] } }, watched)
const everywhere = ['10.96.0.9', '10.0.0.1']

const cases: readonly (readonly [what: string, pods: readonly ObservedPod[], hosts: readonly string[] | undefined, partly: boolean])[] = [
  ['2 of 2 ready pods run the snapshot is tried everywhere', [pod('1'), pod('2')], everywhere, false],
  ['1 of 2 ready pods runs another is tried only straight at the other 1', [pod('2', { revision: 'r1' }), pod('1')], ['10.0.0.1'], true],
  ['1 of 2 ready pods says nothing is tried only straight at the other 1', [pod('1'), silent('2', 'r1')], ['10.0.0.1'], true],
  ['1 of 2 ready pods says nothing and ran it lately is tried everywhere', [pod('1'), silent('2', 'r2')], everywhere, false],
  ['1 of 2 pods runs another and is not ready is tried everywhere', [pod('2', { ready: false, revision: 'r1' }), pod('1')], everywhere, false],
  ['0 of 2 ready pods run it is not tried', [pod('1', { revision: 'r1' }), pod('2', { revision: 'r1' })], undefined, false],
]
for (const [what, pods, hosts, partly] of cases) {
  test(`a relay of which ${what}`, () => {
    const found = target(...pods)
    assert.deepEqual([found.how?.ways.map(({ door }) => door.host), found.partly === true], [hosts, partly])
  })
}

test('for 2 days 1 of 2 ready pods keeps its snapshot, and a listener is added: a stranger tries it within a minute, and then every 5 m', async () => {
  const state = { now: 0, tries: 0 }
  const prober = new Prober({ every: '5m', now: () => state.now, news: () => {}, relayed: () => {}, run: () => ((state.tries += 1), Promise.resolve({ from: ['10.0.0.7'], relayed: [] })) })
  const said: string[] = []
  const look = async ({ view, say }: ReturnType<typeof relayWith>, revision: string, pods: readonly ObservedPod[]): Promise<void> => {
    const now = say(prober.attempts('mail/main'))
    if (now !== said.at(-1)) said.push(now)
    prober.look([targetOf({ view, revision, observed: { pods, queueNodes: [], addresses: [] } }, watched)])
    await new Promise((resolve) => setImmediate(resolve))
  }
  const r1 = [pod('1', { revision: 'r1' }), pod('2', { revision: 'r1' })]
  await look(main, 'r1', r1)
  await look(main, 'r1', r1)
  const wide = relayWith(listener('wide', 2626))
  for (; state.now < 2 * 86_400_000; state.now += 15_000) await look(wide, 'r2', [pod('1', { revision: 'r1' }), pod('2')])
  assert.equal(state.tries, 577)
  assert.deepEqual(said, [
    'Unknown NotObserved: no stranger has tried listener mx yet: pods that run this snapshot are waited for',
    'True StrangersRefused: a stranger is refused at listener mx, to the end of DATA; asked from 10.0.0.7 through the Service and straight at a pod, after every change and every 5m',
    'Unknown NotObserved: no stranger has tried listener wide yet: pods that run this snapshot are waited for',
    'True StrangersRefused: a stranger is refused at listeners mx, wide, to the end of DATA; asked from 10.0.0.7 straight at a pod that runs this snapshot, for not all do, after every change and every 5m',
  ])
})
