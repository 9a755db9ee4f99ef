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
import { httpPort, nothingMade, objectsOf, plan, type ObjectSettings, type Wanted } from '../index.ts'
import { snapshotSecrets } from './snapshot-secrets.ts'

type Given = readonly [kind: string, name: string, spec: object][]
const settings: ObjectSettings = { image: 'posthouse:1', natsImage: 'nats:2', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' }
const secrets = { username: 'relay', password: 'word', 'tls.crt': 'c', 'tls.key': 'k', 'ca.crt': 'a' }

const planned = (given: Given) => {
  const own = (kind: string, spec: object): object => (kind === 'Secret' ? { apiVersion: 'v1', stringData: spec } : { apiVersion: 'posthouse.dev/v1alpha1', spec })
  const text = given.map(([kind, name, spec]) => JSON.stringify({ ...own(kind, spec), kind, metadata: { name, ...(kind !== 'RetrySchedule' && { namespace: 'mail' }) } })).join('\n---\n')
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
type Pod = { spec: { securityContext: object; automountServiceAccountToken: boolean; containers: { name: string; securityContext: object; args: string[]; ports: { name: string }[] }[] } }
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
    const login: Given[number] = ['Secret', 'login', { username: 'u', password: 'p' }]
    const tls: Given[number] = ['Secret', 'tls', { 'ca.crt': 'c' }]
    const queue = (more: object) => templates(objects([main({ queue: { external: { servers: ['tls://n.example:4222'], ...more } } }), login, tls]))[0]!.spec as Pod['spec'] & { volumes: { name: string; projected?: { sources: { secret: { name: string } }[] } }[] }
    const secured = queue({ monitoring: ['http://n.example:8222'], credentialsSecretRef: { name: 'login' }, tlsSecretRef: { name: 'tls' } })
    assert.deepEqual(secured.containers[0]!.args.slice(-6), ['--nats', 'tls://n.example:4222', '--nats-monitor', 'http://n.example:8222', '--nats-secrets', '/etc/posthouse/queue'])
    assert.deepEqual(secured.volumes.find(({ name }) => name === 'queue')?.projected?.sources.map(({ secret }) => secret.name), ['login', 'tls'])
    assert.deepEqual([queue({}).containers[0]!.args.at(-1), queue({}).volumes.map(({ name }) => name)], ['--nats-trust-sync', ['snapshot', 'run']])
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
  it('tell 2 listeners apart by their ports’ names where these begin alike and are too long, and leave 3 as they are that fit', () => {
    const names = ['submission-internal', 'submission-internet', 'submission', 'exactly-15-long', '465']
    const listeners = names.map((name, n) => ({ name, protocol: 'Submission', port: 2000 + n }))
    const all = objects([main({ listeners, queue: { external: { servers: ['nats://n:4222'] } } })])
    const ports = templates(all)[0]!.spec.containers[0]!.ports.map(({ name }) => name)
    assert.equal(new Set(ports).size, 6)
    for (const name of ports) assert.match(name, /^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/)
    assert.deepEqual(ports.slice(2), ['submission', 'exactly-15-long', 'l-465', 'http'])
    const service = all.find(({ resource: { kind } }) => kind === 'Service')!.object.spec as { ports: { name: string }[] }
    assert.deepEqual(service.ports.map(({ name }) => name), ports.slice(0, 5))
  })
  it('have 1 port of their own, whose name and number no listener is given', () => {
    const told = (listener: object): string[] => gather(documentsOf('given.yaml', JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'mx.example', listeners: [{ name: 'mx', protocol: 'SMTP', port: 25, ...listener }] } })).documents).problems.map(({ path = '' }) => path)
    const own = templates(objects([main()])).at(-1)!.spec.containers[0]!.ports.at(-1)!
    assert.deepEqual([own, told({ name: own.name }), told({ port: httpPort })], [{ name: 'http', containerPort: httpPort, protocol: 'TCP' }, ['spec.listeners[0].name'], ['spec.listeners[0].port']])
  })
  it('start a NATS server anew that is alone and cannot write (s-24), and 1 of 3 only where it has turned JetStream off: it may be catching up', () => {
    const probe = (replicas: number) => (templates(objects([main({ queue: { managed: { replicas } } })])).find(({ spec }) => spec.containers[0]!.name === 'nats')!.spec.containers[0] as unknown as { livenessProbe: { httpGet: { path: string } } }).livenessProbe.httpGet.path
    assert.deepEqual([probe(1), probe(3)], ['/healthz', '/healthz?js-enabled-only=true'])
  })
  for (const replicas of [1, 3, 5]) {
    it(`ask ${replicas} NATS server(s) to write before they acknowledge, and give the relay the addresses of all; a real server finds the configuration sound`, async () => {
      const all = objects([main({ queue: { managed: { replicas } } })])
      const { data } = all.find(({ object, resource }) => resource.kind === 'Secret' && object.metadata.name === 'main-queue')!.object as unknown as { data: Record<string, string> }
      const config = Buffer.from(data['nats.conf']!, 'base64').toString()
      assert.match(config, /sync_interval: always, max_file_store: 10737418240 }/) // the whole volume of 10Gi
      assert.equal(config.match(/tls:\/\/main-queue-\d\.main-queue\.mail\.svc\.cluster\.local:6222/g)?.length ?? 0, replicas === 1 ? 0 : replicas)
      await accepted(config)
      const args = templates(all)[1]!.spec.containers[0]!.args
      assert.equal(args[args.indexOf('--nats') + 1]!.split(',').length, replicas)
    })
  }
})

describe('the relay pods', () => {
  type Probe = { httpGet?: { path: string } }
  type Template = { metadata: { labels: Record<string, string> }; spec: { terminationGracePeriodSeconds: number; affinity: { podAntiAffinity: object }; topologySpreadConstraints: { topologyKey: string; whenUnsatisfiable: string; labelSelector: { matchLabels: object } }[]; containers: [{ readinessProbe: Probe; livenessProbe: Probe; startupProbe: Probe; lifecycle: { preStop: { sleep: { seconds: number } } }; resources: object }] } }
  const template = (spec: object = {}) => templates(objects([main(spec)])).at(-1) as unknown as Template

  it('are asked over HTTP, nothing is called in them, and they have 5 s beside the drain and what is left of it to go', () => {
    const [{ readinessProbe, livenessProbe, startupProbe, lifecycle }] = template().spec.containers
    assert.deepEqual([readinessProbe, livenessProbe, startupProbe].map(({ httpGet }) => httpGet?.path), ['/readyz', '/healthz', '/healthz'])
    assert.deepEqual(lifecycle, { preStop: { sleep: { seconds: 5 } } })
    assert.deepEqual(['10s', '5m', '25d'].map((timeout) => template({ drain: { timeout } }).spec.terminationGracePeriodSeconds), [45, 335, 86_435])
  })
  it('are replaced one by one, none going before another is there, and 1 may be evicted at a time', () => {
    const all = objects([main()])
    const { spec } = all.find(({ resource: { kind } }) => kind === 'Deployment')!.object as unknown as { spec: { strategy: object } }
    assert.deepEqual(spec.strategy, { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } })
    const budgets = all.filter(({ resource: { kind } }) => kind === 'PodDisruptionBudget').map(({ object }) => object.spec as { maxUnavailable: number; selector: { matchLabels: object } })
    assert.deepEqual(budgets.map(({ maxUnavailable, selector }) => [maxUnavailable, selector.matchLabels]), templates(all).map((pod) => [1, (pod as unknown as Template).metadata.labels]))
  })
  it('hold up no drain of a node while they are not ready, as all are that have no queue; the servers of the queue do', () => {
    const budgets = objects([main()]).filter(({ resource: { kind } }) => kind === 'PodDisruptionBudget')
    assert.deepEqual(budgets.map(({ object: { metadata, spec } }) => [metadata.name, (spec as { unhealthyPodEvictionPolicy?: string }).unhealthyPodEvictionPolicy]), [['main-queue', undefined], ['main', 'AlwaysAllow']])
  })
  it('prefer other nodes and other zones, 2 wishes that hold up nobody; a person may want something else', () => {
    const { metadata, spec } = template()
    assert.deepEqual(Object.keys(spec.affinity.podAntiAffinity), ['preferredDuringSchedulingIgnoredDuringExecution'])
    assert.deepEqual(spec.topologySpreadConstraints, [{ maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: { matchLabels: metadata.labels } }])
    const wanted = { topologySpreadConstraints: [{ maxSkew: 2, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' }], nodeSelector: { disk: 'fast' }, tolerations: [{ operator: 'Exists' }], priorityClassName: 'high', imagePullSecrets: [{ name: 'pull' }], resources: { limits: { memory: '1Gi' } } }
    const given = template({ pods: wanted }).spec
    assert.deepEqual({ ...wanted, ...given, resources: given.containers[0].resources }, { ...given, ...wanted, topologySpreadConstraints: [{ ...wanted.topologySpreadConstraints[0], labelSelector: { matchLabels: metadata.labels } }] })
    const other = [{ ...wanted.topologySpreadConstraints[0], labelSelector: { matchLabels: { a: 'b' } } }]
    assert.deepEqual(template({ pods: { topologySpreadConstraints: other } }).spec.topologySpreadConstraints, other)
  })
})

describe('the pods of the queue', () => {
  const server = (pods?: object) => templates(objects([main(pods && { pods })]))[0]!
  const placed = { nodeSelector: { disk: 'fast' }, tolerations: [{ operator: 'Exists' }], priorityClassName: 'high', imagePullSecrets: [{ name: 'pull' }] }

  it('are pulled and placed as the relay pods are, by 4 fields, of which none is there that nobody wrote', () => {
    const bare = server()
    assert.deepEqual(server(placed), { ...bare, spec: { ...bare.spec, ...placed } })
    for (const field of Object.keys(placed)) assert.ok(!(field in bare.spec), field)
  })
  it('take nothing else of the 9 fields: they keep labels, memory and nodes of their own', () => {
    const others = { labels: { a: 'b' }, annotations: { c: 'd' }, resources: { limits: { memory: '1Gi' } }, affinity: { nodeAffinity: {} }, topologySpreadConstraints: [{ maxSkew: 2 }] }
    assert.deepEqual(server(others), server())
  })
})

describe('the Service', () => {
  const service = (spec: object) => objects([main(spec)]).find(({ resource: { kind }, object }) => kind === 'Service' && object.metadata.name === 'main')!.object as unknown as { metadata: { annotations?: object }; spec: { [field: string]: unknown; ports: { name: string; port: number; targetPort: number }[] } }
  const listeners = [{ name: 'mx', protocol: 'SMTP', port: 25 }, { name: 'submission', protocol: 'Submission', port: 587 }, { name: 'submissions', protocol: 'Submissions', port: 465 }]

  it('leads from 25, 587 and 465 to 3 ports that a process without rights may open', () => {
    assert.deepEqual(service({ listeners }).spec.ports.map(({ name, port, targetPort }) => [name, port, targetPort]), [['mx', 25, 2525], ['submission', 587, 2587], ['submissions', 465, 2465]])
  })
  it('has type, traffic policy, class and 1 annotation as a person says', () => {
    const external = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', loadBalancerClass: 'example.com/lb', annotations: { a: 'b' } }
    const { metadata, spec: { type, externalTrafficPolicy, loadBalancerClass } } = service({ service: external })
    assert.deepEqual({ type, externalTrafficPolicy, loadBalancerClass, annotations: metadata.annotations }, external)
  })
})

describe('the NetworkPolicies, evaluated over the labels and ports of the pods', () => {
  type Selector = { readonly matchLabels: Readonly<Record<string, string>> }
  type Peers = readonly { readonly podSelector: Selector }[]
  type Policy = { readonly podSelector: Selector; readonly policyTypes: readonly string[]; readonly ingress?: readonly { readonly from?: Peers; readonly ports: readonly { readonly port: number }[] }[]; readonly egress?: readonly { readonly to?: Peers; readonly ports: readonly { readonly port: number }[] }[] }
  type Labels = Readonly<Record<string, string>>
  const all = objects([main()])
  const policies = all.filter(({ resource: { kind } }) => kind === 'NetworkPolicy').map(({ object }) => object.spec as Policy)
  const picks = ({ matchLabels }: Selector, labels: Labels): boolean => Object.entries(matchLabels).every(([label, value]) => labels[label] === value)
  /** As Kubernetes: where no policy of the direction picks a pod, everything may; else what any of them lets. */
  const may = (type: 'Ingress' | 'Egress', pod: Labels, other: Labels, port: number): boolean => {
    const mine = policies.filter(({ podSelector, policyTypes }) => policyTypes.includes(type) && picks(podSelector, pod))
    const rules = mine.flatMap(({ ingress = [], egress = [] }) => (type === 'Ingress' ? ingress.map(({ from, ports }) => ({ peers: from, ports })) : egress.map(({ to, ports }) => ({ peers: to, ports }))))
    return mine.length === 0 || rules.some(({ peers, ports }) => ports.some((one) => one.port === port) && (peers === undefined || peers.some(({ podSelector }) => picks(podSelector, other))))
  }
  const reaches = (from: Labels, to: Labels, port: number): boolean => may('Egress', from, to, port) && may('Ingress', to, from, port)
  const [queue, relay] = templates(all).map((template) => ({ labels: (template as unknown as { metadata: { labels: Labels } }).metadata.labels, ports: (template.spec.containers[0]!.ports as unknown as { containerPort: number }[]).map(({ containerPort }) => containerPort) }))
  const stranger: Labels = { app: 'shop' }
  const ofAnother: Labels = { ...relay!.labels, 'app.kubernetes.io/instance': 'other' }

  it('let everybody to the 3 ports of a relay pod, and to no other of it', () => {
    assert.deepEqual(relay!.ports, [2525, 2587, 9464])
    assert.deepEqual([...relay!.ports, 22, 4222].map((port) => reaches(stranger, relay!.labels, port)), [true, true, true, false, false])
  })
  it('let the relay pods to the clients’ port of the queue and to its figures, its servers to each other’s, and nobody else to any of its 3 ports', () => {
    assert.deepEqual(queue!.ports, [4222, 8222, 6222])
    const of = (from: Labels) => queue!.ports.map((port) => reaches(from, queue!.labels, port))
    assert.deepEqual([of(relay!.labels), of(queue!.labels), of(stranger), of(ofAnother)], [[true, true, false], [false, false, true], [false, false, false], [false, false, false]])
  })
  it('let mail out to anywhere, and the queue to its own servers and to DNS, 2 ways', () => {
    assert.deepEqual([25, 443].map((port) => reaches(relay!.labels, stranger, port)), [true, true])
    assert.deepEqual([25, 443, 53].map((port) => reaches(queue!.labels, stranger, port)), [false, false, true])
  })
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
