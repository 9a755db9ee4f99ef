import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseSnapshot, readSnapshot, writeSnapshot } from '../../../relay/snapshot/index.ts'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findNatsServer } from '../../../cli/standalone/find-nats-server.ts'
import { documentsOf, gather } from '../../gather/internal.ts'
import { certificateFor, newAuthority } from '../../make/index.ts'
import { nothingMade, objectsOf, plan, type ObjectSettings, type Wanted } from '../index.ts'
import { snapshotSecrets } from './snapshot-secrets.ts'

type Given = readonly [kind: string, name: string, spec: object][]
const settings: ObjectSettings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' }
const secrets = { username: 'relay', password: 'word', 'tls.crt': 'c', 'tls.key': 'k', 'ca.crt': 'a' }

const planned = (given: Given) => {
  const text = given.map(([kind, name, spec]) => JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, ...(kind !== 'RetrySchedule' && { namespace: 'mail' }) }, spec })).join('\n---\n')
  const { declared, problems } = gather(documentsOf('given.yaml', text).documents)
  assert.deepEqual(problems, [])
  const [one] = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' }).snapshots
  return { view: one!.view, snapshot: parseSnapshot(one!.snapshot) }
}
const objects = (given: Given): Wanted[] => {
  const { view, snapshot } = planned(given)
  return objectsOf(view, snapshot, secrets, settings)
}
const main = (spec: object = {}): Given[number] => ['MailRelay', 'main', { hostname: 'mx.example', ...spec }]
const named = (all: readonly Wanted[]): string[] => all.map(({ resource, object }) => `${resource.kind} ${object.metadata.name}`)
type Pod = { spec: { securityContext: object; automountServiceAccountToken: boolean; containers: { securityContext: object; args: string[]; ports: { name: string }[] }[] } }
const templates = (all: readonly Wanted[]): Pod[] => all.filter(({ resource: { kind } }) => kind === 'Deployment' || kind === 'StatefulSet').map(({ object }) => (object.spec as { template: Pod }).template)

/** By nats-server itself, with certificates in place of those of a pod. */
const accepted = async (config: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-nats-conf-'))
  const authority = newAuthority(new Date())
  const { certificate, key } = certificateFor(['a.example'], authority, new Date())
  for (const [name, text] of [['tls.crt', certificate], ['tls.key', key], ['ca.crt', authority.certificate], ['nats.conf', config.replaceAll('/etc/nats', folder).replace('/data/jetstream', join(folder, 'js'))]] as const) writeFileSync(join(folder, name), text)
  try {
    execFileSync((await findNatsServer()).path, ['-t', '-c', join(folder, 'nats.conf')], { env: { POD_NAME: 'main-queue-0' }, stdio: 'pipe' })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the objects of a MailRelay', () => {
  it('of the smallest manifest are these 12, in the order in which a pod needs them', () => {
    assert.deepEqual(named(objects([main()])), [
      'ServiceAccount main', 'Secret main-snapshot-1', 'Secret main-snapshot-0', 'Secret main-queue', 'Service main-queue', 'StatefulSet main-queue', 'PodDisruptionBudget main-queue',
      'Service main', 'NetworkPolicy main', 'NetworkPolicy main-queue', 'Deployment main', 'PodDisruptionBudget main',
    ])
  })
  it('with a queue of its own servers are 7, none of them a server', () => {
    const all = named(objects([main({ queue: { external: { servers: ['nats://n.example:4222'] } } })]))
    assert.equal(all.length, 7)
    assert.ok(all.every((name) => !name.includes('queue')))
  })
  it('mount the 2 Secrets of a queue of other servers, and take on trust what no monitoring address shows', () => {
    const queue = (more: object) => templates(objects([main({ queue: { external: { servers: ['tls://n.example:4222'], ...more } } })]))[0]!.spec as Pod['spec'] & { volumes: { name: string; projected?: { sources: { secret: { name: string } }[] } }[] }
    const secured = queue({ monitoring: ['http://n.example:8222'] })
    assert.deepEqual([secured.containers[0]!.args.slice(-4), secured.volumes.map(({ name }) => name)], [['--nats', 'tls://n.example:4222', '--nats-monitor', 'http://n.example:8222'], ['snapshot', 'run']])
    assert.equal(queue({}).containers[0]!.args.at(-1), '--nats-trust-sync')
  })
  it('keep 2 pod templates as they are when only what may change live is changed', () => {
    const before = objects([main()])
    const after = objects([main(), ['RelayPolicy', 'p', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', action: 'Deny' }] }], ['DeliveryRoute', 'r', { nextHops: [{ mx: {}, tls: { mode: 'Require' } }] }], ['RetrySchedule', 's', { attempts: ['1m'], giveUpAfter: '1d' }]])
    assert.deepEqual(templates(after), templates(before))
    assert.notDeepEqual(after.filter(({ object }) => object.metadata.name === 'main-snapshot-0'), before.filter(({ object }) => object.metadata.name === 'main-snapshot-0'))
  })
  it('pass PodSecurity restricted in both pods: no root, no privileges, read-only, no token', () => {
    for (const { spec } of templates(objects([main()]))) {
      const { securityContext, automountServiceAccountToken, containers } = spec
      assert.deepEqual([(securityContext as { runAsNonRoot: boolean }).runAsNonRoot, (securityContext as { seccompProfile: object }).seccompProfile, automountServiceAccountToken], [true, { type: 'RuntimeDefault' }, false])
      for (const one of containers) assert.deepEqual(one.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
    }
  })
  it('name their ports with at most 15 characters, whatever the 2 listeners are called', () => {
    const listeners = [{ name: 'a-listener-with-a-long-name', protocol: 'SMTP', port: 25 }, { name: '465', protocol: 'Submissions', port: 465 }]
    const [relay] = templates(objects([main({ listeners, queue: { external: { servers: ['nats://n:4222'] } } })]))
    for (const { name } of relay!.spec.containers[0]!.ports) assert.match(name, /^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/)
  })
  for (const replicas of [1, 3, 5]) {
    it(`ask ${replicas} NATS server(s) to write before they acknowledge, and give the relay the addresses of all; a real server finds the configuration sound`, async () => {
      const all = objects([main({ queue: { managed: { replicas } } })])
      const { data } = all.find(({ object, resource }) => resource.kind === 'Secret' && object.metadata.name === 'main-queue')!.object as unknown as { data: Record<string, string> }
      const config = Buffer.from(data['nats.conf']!, 'base64').toString()
      assert.match(config, /sync_interval: always/)
      assert.equal(config.match(/tls:\/\/main-queue-\d\.main-queue\.mail\.svc\.cluster\.local:6222/g)?.length ?? 0, replicas === 1 ? 0 : replicas)
      await accepted(config)
      const args = templates(all)[1]!.spec.containers[0]!.args
      assert.equal(args[args.indexOf('--nats') + 1]!.split(',').length, replicas)
    })
  }
})

describe('a snapshot in Secrets', () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-secrets-'))
  it('is read back by a relay from the files of all its Secrets, also when it has 3,000 domains', (t) => {
    t.after(() => rmSync(folder, { recursive: true }))
    const { view } = planned([main()])
    const { snapshot } = planned([main(), ...Array.from({ length: 3000 }, (_, n): Given[number] => ['MailDomain', `d${n}`, { domain: `d${n}.example`, inbound: { recipients: { mode: 'List', list: Array.from({ length: 30 }, (_, m) => `somebody-${n}-${m}`) }, deliverTo: { hosts: [{ host: 'store.example' }] } } }])])
    const all = snapshotSecrets(view.relay, snapshot)
    assert.ok(all.length > 3 && all.length <= 16, String(all.length))
    for (const { object } of all) {
      const data = object.data as Record<string, string>
      assert.ok(Object.values(data).reduce((sum, text) => sum + Buffer.from(text, 'base64').length, 0) <= 1_048_576)
      for (const [file, text] of Object.entries(data)) writeFileSync(join(folder, file), Buffer.from(text, 'base64'))
    }
    assert.equal(all.at(-1)!.object.metadata.name, 'main-snapshot-0')
    assert.equal(readSnapshot(folder).revision, writeSnapshot(folder, snapshot))
  })
})
