import assert from 'node:assert/strict'
import { it } from 'node:test'
import { documentsOf, gather } from '../../gather/internal.ts'
import { faultInWords, nothingMade, plan, statusesOf, type Status } from '../index.ts'

const before = { relays: [{ namespace: 'mail', name: 'main', conditions: [{ type: 'Accepted', status: 'True' }] }], conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: 'in force' }, { type: 'Ready', status: 'True', reason: 'Ready', message: 'in force' }] }
const given = [['MailRelay', 'main', { hostname: 'mx.example', replicas: 1 }, before], ['MailDomain', 'old', { domain: 'old.example' }, before], ['MailDomain', 'new', { domain: 'new.example' }, undefined]] as const
const text = given.map(([kind, name, spec, status]) => JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, namespace: 'mail' }, spec, status })).join('\n---\n')
const { declared } = gather(documentsOf('given.yaml', text).documents)
const { snapshots, conditions } = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' })
const durable = { ok: false, reason: 'SyncNotAlways', text: 'sync_interval is 2m' }
const views = snapshots.map(({ view }) => ({ view, revision: 'r', observed: { pods: [{ name: 'a', ready: true, revision: 'r', durable }], queueNodes: [], addresses: [] } }))

const said = (seen: typeof views): Record<string, string[]> => {
  const titles = ['MailRelay mail/main', 'MailDomain mail/old', 'MailDomain mail/new']
  const statuses = statusesOf({ manifests: [...declared.relays, ...declared.domains], conditions, views: seen, faulty: new Map(titles.map((title) => [title, faultInWords([title])])), refused: new Map([['MailRelay mail/main', faultInWords(titles)]]), mistaken: [], controllerName: 'test', bindings: new Map(), records: new Map() })
  return Object.fromEntries(statuses.map(({ object, status }: Status) => [object.name, status.conditions.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`).filter((one) => !one.startsWith('OpenRelay'))]))
}

it('what is at fault says so in Ready, and keeps what was said of it before; what is new is not known to be in force', () => {
  const { old, new: fresh, main } = said([])
  assert.deepEqual([old, fresh, main], [['Accepted True Accepted', 'Ready False OperatorFault'], ['Accepted Unknown OperatorFault', 'Ready False OperatorFault'], ['Accepted True Accepted', 'Ready False OperatorFault']])
})
it('a MailRelay at fault whose pods are seen still says of its queue what they say, for an alert waits for it', () => {
  assert.deepEqual(said(views).main, ['Accepted True Accepted', 'Programmed False OperatorFault', 'DurableAccept False SyncNotAlways', 'Ready False OperatorFault'])
})

it('a message that is cut after 32,000 characters is not cut inside one: the API server would keep another, and it would be written in every run', () => {
  const mistaken = [{ object: { kind: 'MailDomain', namespace: 'mail', name: 'odd' }, generation: 1, message: `${'x'.repeat(31_999)}\u{1f4e7}` }] as const
  const [status] = statusesOf({ manifests: [], conditions: [], views: [], mistaken, controllerName: 'test', bindings: new Map(), records: new Map() })
  assert.deepEqual(status!.status.conditions.map(({ message }) => [message.length, message.isWellFormed()]), [[32_000, true], [32_000, true]])
})

it('a status whose making throws is of generation 2, that was looked at, though generation 1 was said before', () => {
  const [domain] = declared.domains.map((one) => ({ ...one, metadata: { ...one.metadata, generation: 2 }, status: { observedGeneration: 1, ...before } }))
  const [told] = statusesOf({ manifests: [domain!], conditions: [], views: [], mistaken: [], controllerName: 'test', bindings: new Map(), records: new Map(), refused: { get: () => assert.fail('a bug') } as never })
  assert.notEqual(told!.fault, undefined)
  assert.deepEqual([told!.status.observedGeneration, told!.status.conditions.at(-1)!.observedGeneration], [2, 2])
})
