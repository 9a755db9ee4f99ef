// The kinds on a real API server: every example is taken, and every rule refuses what it is there to refuse, in the words that posthouse check uses too.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { kinds, type JsonSchema } from '../../crds/index.ts'
import { crdOf } from '../../crds/crd.ts'
import { applyObject, createKube, KubeError, openAccess, pathOf, type Kube, type KubeObject } from '../../operator/kube/index.ts'
import { documentsOf, gather } from '../../operator/gather/internal.ts'
import { nothingMade, plan } from '../../operator/plan/index.ts'
import { widthFault } from '../../operator/plan/internal.ts'
import { durations, nameservers } from '../tools/field-cases.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks, startApiServer, type ApiServer } from './tools/api-server.ts'
import { applyKinds, namespaceResource, resourceOf } from './tools/operator.ts'

type Tree = { readonly [field: string]: unknown }
type Bad = readonly [path: string, value: unknown]

const host = { host: 'store.example' }
/** The least that each kind wants; a bad value is set into it. */
const least: Readonly<Record<string, Tree>> = {
  MailRelay: { hostname: 'mx.example' },
  MailDomain: { domain: 'd.example' },
  MailSender: { relayRef: { name: 'main' } },
  RelayPolicy: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'r', action: 'Deny' }] },
  DeliveryRoute: {},
  RetrySchedule: { attempts: ['1m'], giveUpAfter: '5d' },
}
const listener = { name: 'mx', protocol: 'SMTP', port: 25 }
const selectorWithoutFrom = { from: 'Same', selector: { matchLabels: { a: 'b' } } }
const existsWithValues = { from: 'Selector', selector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }
const withListener = (change: Tree): unknown => [{ ...listener, ...change }]
const tooLong = '401d'

/** By kind and path of the rule: where to set what, so that this rule is broken. Rules on durations all break alike and are not listed. */
const broken: Readonly<Record<string, readonly Bad[]>> = {
  'MailRelay ': [['metadata.name', 'a.b']],
  'MailRelay spec.listeners': [['spec.listeners', []], ['spec.listeners', [listener, { ...listener, name: 'other' }]], ['spec.listeners', [listener, { ...listener, name: 'other', port: 525 }]]],
  'MailRelay spec.listeners[]': [['spec.listeners', withListener({ auth: ['PLAIN'] })]],
  'MailRelay spec.listeners[].name': [['spec.listeners', withListener({ name: 'http' })], ['spec.listeners', withListener({ name: 'a--b' })]],
  'MailRelay spec.listeners[].port': [['spec.listeners', withListener({ port: 9464 })]],
  'MailRelay spec.listeners[].proxyProtocol.trustedCIDRs[]': [['spec.listeners', withListener({ proxyProtocol: { trustedCIDRs: ['10.0.0.1'] } })], ['spec.listeners', withListener({ proxyProtocol: { trustedCIDRs: ['10.0.0.0/7'] } })]],
  'MailRelay spec.listeners[].allowedSenders.namespaces': [['spec.listeners', withListener({ allowedSenders: { namespaces: selectorWithoutFrom } })]],
  'MailRelay spec.listeners[].allowedSenders.namespaces.selector.matchExpressions[]': [['spec.listeners', withListener({ allowedSenders: { namespaces: existsWithValues } })]],
  'MailRelay spec.listeners[].allowedDomains.namespaces': [['spec.listeners', withListener({ allowedDomains: { namespaces: selectorWithoutFrom } })]],
  'MailRelay spec.listeners[].allowedDomains.namespaces.selector.matchExpressions[]': [['spec.listeners', withListener({ allowedDomains: { namespaces: existsWithValues } })]],
  'MailRelay spec.queue': [['spec.queue', {}]],
  'MailRelay spec.queue.managed.replicas': [['spec.queue', { managed: { replicas: 2 } }]],
  'MailRelay spec.queue.managed.storage.size': [['spec.queue', { managed: { storage: { size: '1Mi' } } }]],
  'MailRelay spec.queue.external.replicas': [['spec.queue', { external: { servers: ['nats://n.example:4222'], replicas: 2 } }]],
  'MailRelay spec.queue.external.size': [['spec.queue', { external: { servers: ['nats://n.example:4222'], size: '1Mi' } }]],
  'MailRelay spec.queue.managed.storage': [], // a change, shown below
  'MailRelay spec.service': [['spec.service', { externalTrafficPolicy: 'Local' }], ['spec.service', { type: 'NodePort', loadBalancerClass: 'example.com/lb' }]],
  'MailRelay spec.resolver.nameservers[]': [['spec.resolver', { nameservers: ['dns.example'] }]],
  'MailDomain ': [['metadata.name', 'n'.repeat(241)]],
  'MailDomain spec': [['spec.allowedSenders', { from: ['*@e.example'] }]],
  'MailDomain spec.domain': [], // a change, shown below
  'MailSender ': [['metadata.name', 'n'.repeat(241)]],
  'MailDomain spec.inbound': [['spec.inbound', { recipients: { mode: 'Callout' }, deliverTo: { mx: {} } }]],
  'MailDomain spec.inbound.recipients.list[]': [['spec.inbound', { recipients: { mode: 'List', list: ['*@d.example'] }, deliverTo: { hosts: [host] } }]],
  'MailDomain spec.inbound.recipients': [['spec.inbound', { recipients: { mode: 'List' }, deliverTo: { hosts: [host] } }]],
  'MailDomain spec.inbound.deliverTo': [['spec.inbound', { recipients: { mode: 'Any' }, deliverTo: { hosts: [host], mx: {} } }]],
  'MailDomain spec.inbound.deliverTo.hosts[].host': [['spec.inbound', { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'Store.Example' }] } }]],
  'MailDomain spec.inbound.deliverTo.hosts[].tls': [['spec.inbound', { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: 'store.example', tls: { caSecretRef: { name: 'ca' } } }] } }]],
  'MailDomain spec.outbound.dkim': [['spec.outbound', { dkim: { keySecretRef: { name: 'k' }, rotation: { every: '90d' } } }]],
  'MailDomain spec.outbound.dkim.rotation': [['spec.outbound', { dkim: { rotation: { every: '1d', overlap: '2d' } } }]],
  'MailDomain spec.allowedSenders.namespaces': [['spec.allowedSenders', { namespaces: selectorWithoutFrom }]],
  'MailDomain spec.allowedSenders.namespaces.selector.matchExpressions[]': [['spec.allowedSenders', { namespaces: existsWithValues }]],
  'MailSender spec.identity': [['spec.identity', { generated: {}, serviceAccountName: 'app' }]],
  'RelayPolicy spec': [['spec.rules', []], ['spec', { targetRefs: [{ kind: 'MailDomain', name: 'd' }], limits: [{ by: 'source', connectionsPerMinute: 1 }] }]],
  'RelayPolicy spec.targetRefs[]': [['spec.targetRefs', [{ kind: 'MailDomain', name: 'd', sectionName: 'mx' }]]],
  'RelayPolicy spec.rules': [['spec.rules', [{ name: 'r', action: 'Deny' }, { name: 'r', action: 'Hold' }]]],
  'RelayPolicy spec.rules[]': [['spec.rules', [{ name: 'r', action: 'Allow', match: { sources: ['192.0.2.0/23'] } }]]],
  'RelayPolicy spec.rules[].match.sources[]': [['spec.rules', [{ name: 'r', action: 'Deny', match: { sources: ['10.0.0.0'] } }]]],
  'RelayPolicy spec.limits[]': [['spec.limits', [{ by: 'source' }]], ['spec.limits', [{ by: 'domain', connectionsPerMinute: 1 }]]],
  'DeliveryRoute spec.nextHops[]': [['spec.nextHops', [{ preference: 1 }]], ['spec.nextHops', [{ smarthost: { host: 'a.example', credentialsSecretRef: { name: 'l' } }, tls: { mode: 'Require' } }]]],
  'DeliveryRoute spec.nextHops[].tls': [['spec.nextHops', [{ mx: {}, tls: { mode: 'Require', caSecretRef: { name: 'ca' } } }]]],
  'DeliveryRoute spec.nextHops[].smarthost.host': [['spec.nextHops', [{ smarthost: { host: '[::1]' } }]]],
  'RetrySchedule spec': [['spec', { giveUpAfter: '5d' }], ['spec.delayNoticeAfter', '5d']],
  'RetrySchedule spec.backoff': [['spec', { backoff: { initial: '2h', factor: 2, max: '1h' }, giveUpAfter: '5d' }]],
  'RetrySchedule spec.overrides[]': [['spec.overrides', [{ when: 'DNS' }]]],
  'RetrySchedule spec.overrides[].backoff': [['spec.overrides', [{ when: 'DNS', backoff: { initial: '2h', factor: 2, max: '1h' } }]]],
}

/** The members beside a duration that its object wants. */
const beside: Readonly<Record<string, Tree>> = {
  'spec.listeners[]': listener,
  'spec.outbound.dkim.rotation': { every: '400d' },
  'spec.overrides[]': { when: 'DNS' },
  'spec.backoff': { initial: '1m', factor: 2, max: '1h' },
  'spec.overrides[].backoff': { initial: '1m', factor: 2, max: '1h' },
}

/** What the plan refuses with more to say than a rule can. */
const bounds = 'at most a /8 of private IPv4 addresses, a /24 of public ones, a /32 or /48 of IPv6: wider ranges are trusted by nobody'
const wordsOfThePlan: Readonly<Record<string, string>> = {
  [bounds]: 'is wider than /24, the widest public IPv4 range that may be trusted',
  [`sources of an Allow: ${bounds}`]: 'is wider than /24, the widest public IPv4 range that may be trusted',
  'two listeners would open the same port in the pod: 25 is opened as 2525, others below 1024 as port + 2000': 'would both open port 2525',
  'allowedSenders.from holds addresses of this domain only': 'is no address of d.example',
  'one address, and no pattern: for every address of the domain set mode to Any': 'is no pattern here but one address',
}
const checkSays = (object: KubeObject): string[] => {
  const { declared, problems } = gather(documentsOf('x.yaml', JSON.stringify(object)).documents)
  const refused = plan({ declared, made: nothingMade, clusterDomain: 'cluster.local' }).conditions.filter(({ status }) => status === 'False')
  return [...problems, ...refused].map(({ message }) => message)
}

/** `ofChange`: it compares with what was there before, and no single manifest breaks it. */
type Rule = { readonly kind: string; readonly path: string; readonly message: string; readonly ofChange: boolean }
const rulesOf = (schema: JsonSchema, kind: string, path: string): Rule[] => [
  ...(schema['x-kubernetes-validations'] ?? []).map(({ message, rule }) => ({ kind, path, message, ofChange: rule.includes('oldSelf') })),
  ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => rulesOf(inner, kind, path === '' ? name : `${path}.${name}`)),
  ...(schema.items ? rulesOf(schema.items, kind, `${path}[]`) : []),
  ...(schema.additionalProperties ? rulesOf(schema.additionalProperties, kind, `${path}{}`) : []),
]
type Crd = { readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: JsonSchema } }] } }
const rules = kinds.flatMap((kind) => rulesOf((crdOf(kind) as unknown as Crd).spec.versions[0].schema.openAPIV3Schema, kind.kind, ''))

/** Objects with nothing required and defaults inside, which are neither a default themselves nor owned as a whole. */
const emptiable = (schema: JsonSchema & { readonly 'x-kubernetes-map-type'?: string }, path: string): string[] => {
  const members = Object.entries(schema.properties ?? {})
  const isOne = schema.default === undefined && schema.required === undefined && schema['x-kubernetes-map-type'] !== 'atomic' && members.some(([, inner]) => inner.default !== undefined)
  return [...(isOne ? [path] : []), ...members.flatMap(([name, inner]) => emptiable(inner, `${path}.${name}`)), ...(schema.items ? emptiable(schema.items, `${path}[]`) : [])]
}

const isDuration = ({ message }: Rule): boolean => message.startsWith('a duration from')

/** Sets a value at a path; a list on the way has one item. */
const put = (tree: unknown, path: readonly string[], value: unknown, walked = ''): unknown => {
  const [step, ...rest] = path
  if (step === undefined) return value
  const name = step.replace('[]', '')
  const here = walked === '' ? name : `${walked}.${name}`
  const inner = (tree as Tree | undefined)?.[name]
  const made = step.endsWith('[]') ? [put({ ...beside[`${here}[]`], ...((inner as unknown[] | undefined)?.[0] as object | undefined) }, rest, value, `${here}[]`)] : put(rest.length > 0 ? { ...beside[here], ...(inner as object | undefined) } : inner, rest, value, here)
  return { ...(tree as object), [name]: rest.length === 0 && step.endsWith('[]') ? [value] : made }
}

const manifestOf = (kind: string, path: string, value: unknown): KubeObject => {
  const namespace = kind === 'RetrySchedule' ? {} : { namespace: 'default' }
  const spec = path.startsWith('spec.backoff') ? { giveUpAfter: '5d' } : least[kind]
  return put({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name: 'x', ...namespace }, spec }, path.split('.'), value) as KubeObject
}

const lacks = apiServerLacks()
describe('the kinds on a real API server', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let api: ApiServer
  let kube: Kube
  const create = (object: KubeObject): Promise<unknown> => kube.call({ method: 'POST', path: pathOf(resourceOf(String(object.kind)), { namespace: object.metadata.namespace }), query: { dryRun: 'All', fieldValidation: 'Strict' }, body: object })
  const refusal = (object: KubeObject): Promise<string> => create(object).then(() => 'taken', (error: KubeError) => error.message)

  const relayIsThere = (name: string, spec: Tree): Promise<unknown> => applyObject(kube, resourceOf('MailRelay'), { metadata: { name, namespace: 'default' }, spec: { ...least.MailRelay, ...spec } })
  /** By a merge patch: null takes out a member. */
  const changeRelay = (name: string, spec: Tree): Promise<unknown> => kube.call({ method: 'PATCH', path: pathOf(resourceOf('MailRelay'), { namespace: 'default', name }), contentType: 'application/merge-patch+json', body: { spec } })

  before(async () => {
    api = await startApiServer()
    kube = createKube(await openAccess(api.kubeconfig))
    for (const name of ['mail', 'shop']) await applyObject(kube, namespaceResource, { metadata: { name } })
    await applyKinds(kube)
    for (const { kind } of kinds) await until(`the kind ${kind}`, async () => (await refusal(manifestOf(kind, 'metadata.name', 'ready'))) === 'taken', 60_000)
  })
  after(() => api.stop())

  it('take the example of each of the 6 manual pages', async () => {
    for (const { kind, example } of kinds) assert.equal(await refusal({ apiVersion: 'posthouse.dev/v1alpha1', kind, ...(parse(example) as object) } as KubeObject & { kind: string }), 'taken', kind)
  })

  it('have no rule for which no manifest here breaks it', () => {
    const listed = Map.groupBy(rules.filter((rule) => !isDuration(rule)), ({ kind, path }) => `${kind} ${path}`)
    assert.deepEqual(Object.keys(broken).toSorted(), [...listed.keys()].toSorted())
    for (const [place, all] of listed) assert.equal(broken[place]!.length, all.filter(({ ofChange }) => !ofChange).length, place)
  })

  for (const [place, bads] of Object.entries(broken)) {
    const [kind, path] = [place.slice(0, place.indexOf(' ')), place.slice(place.indexOf(' ') + 1)]
    const messages = rules.filter((rule) => rule.kind === kind && rule.path === path && !isDuration(rule)).map(({ message }) => message)
    for (const [index, [at, value]] of bads.entries()) {
      it(`${kind} ${path || 'as a whole'}: "${messages[index]!}" (${index + 1} of ${bads.length})`, async () => {
        const object = manifestOf(kind, at, value)
        const told = await refusal(object)
        assert.ok(told.includes(messages[index]!), told)
        const ours = checkSays(object)
        const words = wordsOfThePlan[messages[index]!] ?? messages[index]!
        assert.ok(ours.some((message) => message.includes(words)), `posthouse check says: ${ours.join('; ')}`)
      })
    }
  }

  for (const rule of rules.filter(isDuration)) {
    it(`${rule.kind} ${rule.path}: ${rule.message}, 0s and ${tooLong} are refused`, async () => {
      for (const value of ['0s', tooLong]) assert.ok((await refusal(manifestOf(rule.kind, rule.path, value))).includes(rule.message), value)
    })
  }

  it(`take of ${durations.length} texts as durations those that our own reader takes, and no other`, async () => {
    for (const [text, seconds] of durations) {
      const told = await refusal(manifestOf('RetrySchedule', 'spec.attempts', [text]))
      assert.equal(told === 'taken', seconds !== undefined, `${JSON.stringify(text)}: ${told}`)
    }
  })

  it(`take ${nameservers.good.length} name servers, and refuse ${nameservers.bad.length} that our own reader refuses`, async () => {
    const told = (text: string): Promise<string> => refusal(manifestOf('MailRelay', 'spec.resolver', { nameservers: [text] }))
    for (const text of nameservers.good) assert.equal(await told(text), 'taken', text)
    for (const text of nameservers.bad) assert.match(await told(text), /an IP address, or address:port/, text)
  })

  it('take of 24 sources of an Allow those that the plan takes, and no other', async () => {
    const sources = ['10.0.0.0/8', '10.0.0.0/7', '172.16.0.0/12', '172.16.0.0/11', '192.168.0.0/16', '192.168.0.0/15', '100.64.0.0/10', '100.64.0.0/9', '127.0.0.0/8', '169.254.0.0/16', '192.0.2.0/24', '192.0.2.0/23', '192.0.2.1/32', '0.0.0.0/0', '0.0.0.0/1', 'fd00::/32', 'fd00::/31', 'fe80::/32', '::1/128', '2001:db8::/48', '2001:db8::/47', '2001:db8::/32', '::/0', '2001:db8::1/128']
    for (const source of sources) {
      const told = await refusal(manifestOf('RelayPolicy', 'spec.rules', [{ name: 'r', action: 'Allow', match: { sources: [source] } }]))
      assert.equal(told === 'taken', widthFault(source) === undefined, `${source}: ${told}`)
    }
  })

  it('take 1 MailDomain in letters beyond ASCII, whose senders are written in A-labels', async () => {
    assert.equal(await refusal(manifestOf('MailDomain', 'spec', { domain: 'bücher.example', allowedSenders: { from: ['*@xn--bcher-kva.example'] } })), 'taken')
  })

  it('take 1 MailDomain with dkim: {} by a server-side apply of who owned all in it, as whoever comes from a client-side one, 2 times, and forget what was set', async () => {
    const domain = resourceOf('MailDomain')
    const save = (dkim: Tree): Promise<KubeObject> => applyObject(kube, domain, { metadata: { name: 'owned', namespace: 'default' }, spec: { domain: 'o.example', outbound: { dkim } } })
    const made = await save({})
    const dkimOf = ({ spec }: KubeObject): Tree => (spec as { outbound: { dkim: Tree } }).outbound.dkim
    await save({ ...dkimOf(made), rotation: { every: '90d' } })
    for (const _ of [1, 2]) assert.deepEqual(dkimOf(await save({})), { algorithms: ['ed25519', 'rsa'], selectorPrefix: 'ph' })
  })

  it('refuse 3 empty objects, which the manual names, by a server-side apply of who owned all in them, and take what it says instead', async () => {
    const places = kinds.flatMap((kind) => emptiable((crdOf(kind) as unknown as Crd).spec.versions[0].schema.openAPIV3Schema.properties!.spec!, `${kind.kind} spec`))
    const cases = [['MailRelay', 'spec.listeners[].tls', { ...least.MailRelay, listeners: [{ ...listener, tls: {} }] }, { ...least.MailRelay, listeners: [listener] }], ['MailRelay', 'spec.queue.managed', { ...least.MailRelay, queue: { managed: {} } }, least.MailRelay!], ['DeliveryRoute', 'spec', {}, { match: {} }]] as const
    const neverEmpty = ['DeliveryRoute spec.nextHops[]', 'RetrySchedule spec'] // by their rules
    assert.deepEqual(places.filter((place) => !neverEmpty.includes(place)), cases.map(([kind, path]) => `${kind} ${path}`))
    for (const [kind, path, empty, instead] of cases) {
      const save = (spec: unknown): Promise<KubeObject> => applyObject(kube, resourceOf(kind), { metadata: { name: `empty-${path.slice(-3)}`, namespace: 'default' }, spec })
      await save((await save(empty)).spec)
      await assert.rejects(save(empty), /Invalid value: "?null/, path)
      await save(instead)
    }
  })

  it('refuse another domain in 1 MailDomain that is there', async () => {
    const domain = resourceOf('MailDomain')
    await applyObject(kube, domain, { metadata: { name: 'there', namespace: 'default' }, spec: { domain: 'd.example' } })
    await assert.rejects(applyObject(kube, domain, { metadata: { name: 'there', namespace: 'default' }, spec: { domain: 'e.example' } }), /cannot be changed; make a new object/)
  })

  it('refuse the other kind of queue in 2 MailRelays that are there, one of each kind, also where it comes back as the default', async () => {
    const external = { servers: ['nats://n.example:4222'] }
    await relayIsThere('own', {})
    await relayIsThere('others', { queue: { external } })
    const changes = [['own', { managed: null, external }], ['others', { managed: {}, external: null }], ['others', null]] as const
    for (const [name, queue] of changes) await assert.rejects(changeRelay(name, { queue }), /managed cannot become external, nor external managed/)
    await changeRelay('others', { queue: { external: { servers: ['nats://m.example:4222'] } } })
  })

  it('refuse another StorageClass in 2 MailRelays that are there, one of which names none, and take 1 size that grows', async () => {
    await relayIsThere('classed', { queue: { managed: { storage: { storageClassName: 'fast' } } } })
    await relayIsThere('unclassed', {})
    for (const [name, storageClassName] of [['classed', 'slow'], ['classed', null], ['unclassed', 'fast']] as const)
      await assert.rejects(changeRelay(name, { queue: { managed: { storage: { storageClassName } } } }), /volumes that are there keep their StorageClass/)
    await changeRelay('classed', { queue: { managed: { storage: { size: '20Gi' } } } })
  })
})
