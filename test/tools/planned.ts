// What the plan makes of manifests that a test writes as kind, name and spec.
import assert from 'node:assert/strict'
import { documentsOf, gather } from '../../operator/gather/internal.ts'
import { needsIn, nothingMade, plan, type Condition, type Declared, type Input, type Made } from '../../operator/plan/index.ts'
import { parseSnapshot, type Snapshot } from '../../relay/snapshot/index.ts'

/** Manifests by kind, name and spec; namespace mail unless `namespace/name` is given. */
export type Given = readonly (readonly [kind: string, name: string, spec: unknown, extra?: { created?: string; status?: unknown }])[]

export const manifest = ([kind, key, spec, extra]: Given[number]): string => {
  const [namespace, name] = key.includes('/') ? (key.split('/') as [string, string]) : ['mail', key]
  const metadata = { name, ...(kind !== 'RetrySchedule' && kind !== 'Namespace' && { namespace }), ...(extra?.created && { creationTimestamp: extra.created }) }
  if (kind === 'Secret') return JSON.stringify({ apiVersion: 'v1', kind, metadata, stringData: spec })
  if (kind === 'Namespace') return JSON.stringify({ apiVersion: 'v1', kind, metadata: { name, labels: spec } })
  return JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata, spec, ...(extra?.status !== undefined && { status: extra.status }) })
}

export const declare = (given: Given): Declared => {
  const { documents, problems } = documentsOf('given.yaml', given.map(manifest).join('\n---\n'))
  const gathered = gather(documents)
  assert.deepEqual([...problems, ...gathered.problems], [])
  return gathered.declared
}

export const planned = (given: Given, made: Made = nothingMade, more: Partial<Input> = {}) => plan({ declared: declare(given), made, clusterDomain: 'cluster.local', ...more })
export const needed = (given: Given) => needsIn({ declared: declare(given), clusterDomain: 'cluster.local' })

export const only = (given: Given, made?: Made): Snapshot => {
  const { snapshots } = planned(given, made)
  assert.equal(snapshots.length, 1)
  return parseSnapshot(snapshots[0]!.snapshot)
}

export const main: Given[number] = ['MailRelay', 'main', { hostname: 'mx.example' }]
export const sink = { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: '127.0.0.1' }] } }
export const ours: Given[number] = ['MailDomain', 'ours', { domain: 'ours.example', inbound: sink }]
export const sender: Given[number] = ['MailSender', 'app', { relayRef: { name: 'main' }, from: ['app@ours.example'] }]
export const open = (names: unknown) => ({ name: 'mx', protocol: 'SMTP', port: 25, allowedDomains: { namespaces: { from: 'All' }, names } })
export const submission = (more: object) => ({ name: 'submission', protocol: 'Submission', port: 587, ...more })

export const refusals = (conditions: readonly Condition[]) => conditions.filter(({ status }) => status === 'False')
