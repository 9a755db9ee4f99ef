// The rights that the chart gives, on a real API server: the operator runs with the token of its ServiceAccount and nothing else, for all namespaces and for two of them.
// The audit log of the API server tells what it asked and what was refused; every admission that stands in its way in hardened clusters is on.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createKube, deleteObject, openAccess, readOne, type Kube, type KubeObject, type Resource } from '../../operator/kube/index.ts'
import { startOperator } from '../../operator/main.ts'
import { resources } from '../../operator/plan/index.ts'
import { ourKinds, pods as podResource } from '../../operator/watched.ts'
import { runChild } from '../tools/child.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks, startApiServer, type ApiServer } from './tools/api-server.ts'
import { isBuilt, programPath } from './tools/build.ts'
import { chartFolder, renderObjects } from './tools/chart.ts'
import { kubectlOf, type Kubectl } from './tools/kubectl.ts'

type Asked = { readonly verb: string; readonly requestURI: string; readonly responseStatus: { readonly code: number; readonly message?: string }; readonly objectRef?: { readonly resource: string; readonly subresource?: string; readonly namespace?: string; readonly name?: string; readonly apiGroup?: string } }
type Rule = { readonly apiGroups?: readonly string[]; readonly resources?: readonly string[]; readonly resourceNames?: readonly string[]; readonly verbs: readonly string[] }

const user = 'system:serviceaccount:posthouse:posthouse'
const named = (kind: string) => ourKinds.find((one) => one.kind === kind)!

const lacks = [...apiServerLacks(), ...(isBuilt('helm') ? [] : ['node test/cluster/tools/build.ts helm'])]
/** What the rules give and no request has used, as `verb group/resource`. An apply that made its object used two rights. */
const unused = (rules: readonly Rule[], all: readonly Asked[]): string[] => {
  const used = new Set(
    all.flatMap(({ verb, objectRef, responseStatus: { code } }) => {
      const { apiGroup = '', resource = '', subresource } = objectRef ?? {}
      const what = `${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`}`
      return [`${verb} ${what}`, ...(code === 201 ? [`create ${what}`] : [])]
    }),
  )
  return rules.flatMap(({ apiGroups = [], resources = [], verbs }) => apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)))).filter((right) => !used.has(right))
}

const leftOver = ({ group, version, kind }: Resource, { metadata: { namespace, labels }, spec, data }: KubeObject): object => ({ apiVersion: group === '' ? version : `${group}/${version}`, kind, metadata: { name: 'left', namespace, labels }, ...(data === undefined ? { spec } : { data }) })

describe('the rights of the chart', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let api: ApiServer
  let kube: Kube
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-rights-'))
  const log = join(folder, 'audit.log')
  const asked = (): Asked[] => readFileSync(log, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Asked)
  let kubectl: Kubectl
  const helm = async (...args: string[]): Promise<string> => (await runChild(programPath('helm'), ['--kubeconfig', api.kubeconfig, '--namespace', 'posthouse', ...args])).stdout
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  const namespace = (name: string, labels = {}): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
  const manifest = (kind: string, space: string | undefined, name: string, spec: object): object => ({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, ...(space !== undefined && { namespace: space }) }, spec })
  const reasonOf = async (kind: string, space: string, name: string): Promise<string | undefined> => {
    const live = await readOne(kube, named(kind), { namespace: space, name })
    const found = ((live?.status ?? {}) as { conditions?: { type: string; reason: string; observedGeneration: number }[] }).conditions?.find(({ type }) => type === 'Ready')
    return found?.observedGeneration === live?.metadata.generation ? found?.reason : undefined
  }
  const becomes = (kind: string, space: string, name: string, reason: string) => until(`${kind} ${space}/${name} to be ${reason}`, async () => (await reasonOf(kind, space, name)) === reason, 60_000, 200)

  before(async () => {
    const policy = join(folder, 'policy.json')
    writeFileSync(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules: [{ level: 'Metadata', users: [user] }, { level: 'None' }] }))
    writeFileSync(log, '')
    api = await startApiServer({ controllerManager: true, flags: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`, '--enable-admission-plugins=OwnerReferencesPermissionEnforcement'] })
    kube = createKube(await openAccess(api.kubeconfig))
    kubectl = kubectlOf(api.kubeconfig)
    await kubectl.apply(namespace('posthouse', restricted))
  })
  after(async () => {
    await api.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** As the pod would: with a token for the API server, and no other. */
  const kubeconfigOfOperator = async (): Promise<string> => {
    const { status } = await kube.call<{ status: { token: string } }>({ method: 'POST', path: '/api/v1/namespaces/posthouse/serviceaccounts/posthouse/token', body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } } })
    const config = JSON.parse(readFileSync(api.kubeconfig, 'utf8')) as { users: { user: { token: string } }[] }
    config.users[0]!.user.token = status.token
    const file = join(folder, 'operator.kubeconfig')
    writeFileSync(file, JSON.stringify(config))
    return file
  }

  /** Every kind, in order and in disorder; made, changed, and removed again. */
  const exercise = async (mail: string, shop: string, mine: Kube): Promise<void> => {
    const smarthost = { kind: 'Secret', apiVersion: 'v1', metadata: { name: 'login', namespace: mail }, stringData: { username: 'a', password: 'b' } }
    const selected = { namespaces: { from: 'Selector', selector: { matchLabels: { mail: 'allowed' } } } }
    await kubectl.apply(
      smarthost,
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web', namespace: shop } },
      manifest('RetrySchedule', undefined, 'patient', { attempts: ['1m', '5m'] }),
      manifest('MailRelay', mail, 'main', { hostname: 'mx.example', retryScheduleName: 'patient', listeners: [{ name: 'mx', protocol: 'SMTP', port: 25 }, { name: 'submission', protocol: 'Submission', port: 587, allowedSenders: selected }] }),
      manifest('MailDomain', mail, 'browncow', { domain: 'browncow.example', outbound: { dkim: { algorithms: ['ed25519'] } }, allowedSenders: selected }),
      manifest('MailDomain', mail, 'thief', { domain: 'browncow.example' }),
      manifest('MailSender', shop, 'app', { relayRef: { name: 'main', namespace: mail }, from: ['orders@browncow.example'] }),
      manifest('MailSender', shop, 'web', { relayRef: { name: 'main', namespace: mail }, identity: { serviceAccountName: 'web' }, from: ['orders@browncow.example'] }),
      manifest('DeliveryRoute', mail, 'partner', { match: { recipientDomains: ['partner.example'] }, nextHops: [{ smarthost: { host: 'smtp.partner.example', port: 587, credentialsSecretRef: { name: 'login' } }, tls: { mode: 'Verify' } }] }),
      manifest('RelayPolicy', mail, 'rules', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: { rcptTo: ['*@far.example'] }, action: 'Deny' }] }),
    )
    for (const [kind, space, name] of [['MailSender', shop, 'app'], ['MailSender', shop, 'web'], ['DeliveryRoute', mail, 'partner'], ['RelayPolicy', mail, 'rules']] as const) await becomes(kind, space, name, 'Ready')
    await until('one of the two to be told of the conflict', async () => (await reasonOf('MailDomain', mail, 'thief')) === 'DomainConflict' || (await reasonOf('MailDomain', mail, 'browncow')) === 'DomainConflict', 60_000)
    await until('the pods to be marked', async () => (await kube.call<{ items: KubeObject[] }>({ path: `/api/v1/namespaces/${mail}/pods` })).items.some(({ metadata }) => metadata.annotations?.['posthouse.dev/revision'] !== undefined), 60_000)
    // in its name, for it does so only after three minutes in which a server was stuck
    const server = async (): Promise<KubeObject | undefined> => readOne(kube, podResource, { namespace: mail, name: 'main-queue-1' })
    const stuck = await until('a server', server, 60_000)
    await deleteObject(mine, podResource, stuck)
    await until('another in its place', async () => ![undefined, stuck.metadata.uid].includes((await server())?.metadata.uid), 60_000)
    // as an operator of before may have left them: they wear the labels of a MailRelay that does not want them
    const queueParts = [resources.secret, resources.service, resources.statefulSet, resources.disruptionBudget, resources.networkPolicy]
    await kubectl.apply(...(await Promise.all(queueParts.map(async (resource) => leftOver(resource, (await readOne(kube, resource, { namespace: mail, name: 'main-queue' }))!)))))
    for (const resource of queueParts) await until(`no ${resource.kind} too many`, async () => (await readOne(kube, resource, { namespace: mail, name: 'left' })) === undefined, 60_000)
    await kube.call({ method: 'PATCH', path: `/apis/posthouse.dev/v1alpha1/namespaces/${mail}/mailrelays/main`, contentType: 'application/merge-patch+json', body: { metadata: { annotations: { 'posthouse.dev/discard-queue': 'true' } } } })
    await deleteObject(kube, named('MailSender'), { metadata: { namespace: shop, name: 'app' } })
    await deleteObject(kube, named('MailRelay'), { metadata: { namespace: mail, name: 'main' } })
    await until('the MailRelay to be gone', async () => (await readOne(kube, named('MailRelay'), { namespace: mail, name: 'main' })) === undefined, 60_000)
    await becomes('MailSender', shop, 'web', 'RelayNotFound')
  }

  const run = async (values: { readonly watchNamespaces?: string[] }, [mail, shop]: readonly [string, string]): Promise<Asked[]> => {
    const before = asked().length
    const troubles: string[] = []
    const kubeconfig = await kubeconfigOfOperator()
    const operator = await startOperator({
      kubeconfig,
      namespace: 'posthouse',
      lease: 'posthouse-operator',
      identity: mail,
      ...values,
      settings: { image: 'posthouse:test', natsImage: 'nats:test', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' },
      say: ({ event, why }) => void (event === 'RECONCILE_FAILED' && troubles.push(String(why))),
    })
    try {
      await until('the caches', () => operator.synced(), 60_000)
      await exercise(mail, shop, createKube(await openAccess(kubeconfig)))
    } finally {
      await operator.stop()
    }
    assert.deepEqual(troubles, [])
    return asked().slice(before)
  }

  const refused = (all: readonly Asked[]): string[] => [...new Set(all.filter(({ responseStatus: { code } }) => code === 403 || code === 401).map(({ verb, requestURI, responseStatus }) => `${verb} ${requestURI.split('?')[0]}: ${responseStatus.message ?? ''}`))]

  it('let the operator do all its work in all namespaces, its relay and queue pods in 1 that enforces PodSecurity restricted: 0 requests are refused', async (t) => {
    const notes = await helm('install', 'posthouse', chartFolder)
    assert.match(notes, /It looks after all namespaces\.[^]*kubectl apply[^]*kubectl wait -n posthouse/)
    await kubectl.apply(namespace('mail', restricted), namespace('shop', { mail: 'allowed' }))
    const all = await run({}, ['mail', 'shop'])
    t.diagnostic(`${all.length} requests`)
    assert.ok(all.length > 100)
    assert.deepEqual(refused(all), [])
    const rules = (await renderObjects({})).filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role').flatMap((role) => role.rules as Rule[])
    // asked for by admission, which the log does not tell; what comes after ten minutes only; and lists, where a server has no watch that begins with all there is
    const unseen = /^update posthouse\.dev\/mail(relays|domains|senders)\/finalizers$|^patch events\.k8s\.io\/events$|^list /
    assert.deepEqual(unused(rules, all).filter((right) => !unseen.test(right)), [])
  })

  it('let it do the same in 2 namespaces that are named, and it asks for nothing outside but RetrySchedules and public keys', async (t) => {
    await kubectl.apply(namespace('mail-2'), namespace('shop-2', { mail: 'allowed' }))
    const notes = await helm('upgrade', 'posthouse', chartFolder, '--set', 'watchNamespaces={mail-2,shop-2}')
    assert.match(notes, /upgraded\. It looks after the namespaces mail-2, shop-2\./)
    const watchNamespaces = ['mail-2', 'shop-2']
    const all = await run({ watchNamespaces }, ['mail-2', 'shop-2'])
    t.diagnostic(`${all.length} requests`)
    assert.deepEqual(refused(all), [])
    const outside = all.filter(({ objectRef }) => !watchNamespaces.includes(objectRef?.namespace ?? ''))
    assert.deepEqual([...new Set(outside.map(({ requestURI, objectRef }) => objectRef?.resource ?? requestURI))].sort(), ['/.well-known/openid-configuration', '/openid/v1/jwks', 'leases', 'retryschedules'])
    assert.deepEqual([...new Set(outside.filter(({ objectRef }) => objectRef?.resource === 'retryschedules').map(({ verb }) => verb))], ['watch'])
    const clusterRole = (await renderObjects({ watchNamespaces })).filter(({ kind }) => kind === 'ClusterRole')
    assert.deepEqual(clusterRole.map(({ rules }) => (rules as Rule[]).flatMap(({ resources = [], verbs }) => resources.map((resource) => `${verbs.join()} ${resource}`))), [['list,watch retryschedules']])
  })

  it('would have told of 1 request outside of its namespaces: Secrets of mail are refused to it there, and the log has it', async () => {
    const mine = createKube(await openAccess(await kubeconfigOfOperator()))
    const before = asked().length
    await assert.rejects(mine.call({ path: '/api/v1/namespaces/mail/secrets' }), /forbidden/)
    await until('the log', () => refused(asked().slice(before)).length === 1)
  })

  it('let PodSecurity restricted run the 2 pods of the operator and the test pod, and would have refused 1 that may escalate', async () => {
    await until('2 pods or more, for an upgrade waits for those that no node runs', async () => ((await kubectl('get', 'pods', '-n', 'posthouse', '-o', 'name')).match(/^pod\/posthouse-/gm) ?? []).length >= 2, 60_000)
    const [test] = (await renderObjects({})).filter(({ kind }) => kind === 'Pod')
    await kubectl.apply(test!)
    const [loose] = (await renderObjects({ test: { merge: { metadata: { name: 'loose' } }, patch: [{ op: 'replace', path: '/spec/containers/0/securityContext/allowPrivilegeEscalation', value: true }] } })).filter(({ kind }) => kind === 'Pod')
    await assert.rejects(kubectl.apply(loose!), /violates PodSecurity "restricted/)
  })

  it('goes with helm uninstall (its note needs a node, and is for c-12), and 6 CRDs and what is declared stay', async () => {
    const said = await helm('uninstall', 'posthouse', '--no-hooks')
    assert.match(said, /kept due to the resource policy[^]*mailrelays\.posthouse\.dev/)
    assert.equal((await kubectl('get', 'crds', '-o', 'name')).split('\n').filter((name) => name.endsWith('.posthouse.dev')).length, 6)
    assert.notEqual(await readOne(kube, named('MailDomain'), { namespace: 'mail', name: 'browncow' }), undefined)
    assert.equal((await kubectl('get', 'clusterroles,clusterrolebindings', '-l', 'app.kubernetes.io/instance=posthouse', '-o', 'name')).trim(), '')
  })
})
