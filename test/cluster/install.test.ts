// What helm does with the chart on a real API server: names of releases that are long or look like something else, CRDs that are there before, two releases in one cluster, pods that never get ready, what people may do.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createKube, openAccess, type KubeObject } from '../../operator/kube/index.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks, startApiServer, type ApiServer } from './tools/api-server.ts'
import { isBuilt } from './tools/build.ts'
import { chartFolder, renderObjects } from './tools/chart.ts'
import { helm } from './tools/helm.ts'
import { kubectlOf, type Kubectl } from './tools/kubectl.ts'

const lacks = [...apiServerLacks(), ...(isBuilt('helm') ? [] : ['node test/cluster/tools/build.ts helm'])]
describe('helm with an API server', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let api: ApiServer
  let kubectl: Kubectl
  before(async () => {
    api = await startApiServer({ controllerManager: true })
    kubectl = kubectlOf(api.kubeconfig)
  })
  after(() => api.stop())

  /** With the account that a controller would make. */
  const makeNamespace = (name: string): Promise<void> => kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } })
  const everything = { rbac: { aggregate: true }, networkPolicy: { enabled: true }, serviceMonitor: { enabled: true }, dashboards: { enabled: true } }

  const releases = [
    ['a name of 53 characters', 'mail-platform-production-europe-west-relay-operators1', 'posthouse', {}],
    ['names that are numbers to YAML', '123', '2024', { nameOverride: '007', serviceAccount: { name: '42' }, priorityClassName: '1e3', test: { senderSecret: '99' } }],
    ['names that are truths to YAML', 'on', 'yes', {}],
    ['a dot in its name, which no Service may have', 'post.house', 'posthouse', {}],
  ] as const
  for (const [which, release, namespace, values] of releases)
    it(`takes every object of a release with ${which}: ${release} in ${namespace}`, async () => {
      await makeNamespace(namespace)
      const objects = (await renderObjects({ ...everything, ...values, watchNamespaces: [namespace] }, { release, namespace })).filter(({ apiVersion }) => !apiVersion!.startsWith('monitoring.'))
      assert.ok(objects.length > 20)
      await kubectl.applyText(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }), '--dry-run=server')
    })

  describe('and CRDs', () => {
    const install = (namespace: string, ...args: string[]): Promise<string> => helm(api, 'upgrade', '--install', 'posthouse', chartFolder, '--namespace', namespace, '--create-namespace', ...args)
    const uninstall = (namespace: string): Promise<string> => helm(api, 'uninstall', 'posthouse', '--namespace', namespace, '--no-hooks') // no node here runs the note
    const owners = async (): Promise<(string | undefined)[]> => {
      const { items } = await kubectl.json<{ items: KubeObject[] }>('get', 'crds')
      return items.map(({ metadata }) => metadata.annotations?.['meta.helm.sh/release-namespace'])
    }
    const sixTimes = (owner: string | undefined) => Array<string | undefined>(6).fill(owner)

    it('are taken over where kubectl has applied 6 of them before, once that is asked for', async () => {
      await kubectl('apply', '--server-side', '--filename', join(chartFolder, 'files/crds'))
      await assert.rejects(install('first'), /exists and cannot be imported into the current release/)
      await install('first', '--take-ownership')
      assert.deepEqual(await owners(), sixTimes('first'))
    })

    it('stay with 1 of 2 releases in a cluster: the other comes without', async () => {
      await assert.rejects(install('second', '--set', 'watchNamespaces={second}'), /exists and cannot be imported into the current release/)
      await install('second', '--set', 'watchNamespaces={second}', '--set', 'crds.install=false')
      await uninstall('second')
      assert.deepEqual(await owners(), sixTimes('first'))
    })

    it('stay where crds.install is turned off, and are of the release again where it is turned on: 6 after each', async () => {
      await install('first', '--set', 'crds.install=false')
      assert.equal((await owners()).length, 6)
      await install('first', '--set', 'crds.install=true')
      assert.deepEqual(await owners(), sixTimes('first'))
    })

    it('stay after an uninstall, and the next release takes the 6 over, in another namespace, too', async () => {
      await uninstall('first')
      await assert.rejects(install('third'), /exists and cannot be imported into the current release/)
      await kubectl('label', 'crds', '--all', 'app.kubernetes.io/managed-by=Helm', '--overwrite') // as docs/install.md does it without --take-ownership
      await kubectl('annotate', 'crds', '--all', 'meta.helm.sh/release-name=posthouse', 'meta.helm.sh/release-namespace=third', '--overwrite')
      await install('third')
      assert.deepEqual(await owners(), sixTimes('third'))
    })
  })

  it('lets a node be drained on which 2 operators run and neither gets ready', async () => {
    const kube = createKube(await openAccess(api.kubeconfig))
    const pathOf = (pod: string, part: string): string => `/api/v1/namespaces/drained/pods/${pod}/${part}`
    await helm(api, 'install', 'drained-posthouse', chartFolder, '--namespace', 'drained', '--create-namespace', '--set', 'crds.install=false')
    const pods = await until('2 pods', async () => {
      const names = (await kubectl('get', 'pods', '-n', 'drained', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ')
      return names.length === 2 && names
    }, 60_000, 200)
    await kubectl.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'old' } })
    for (const name of pods) {
      await kube.call({ method: 'POST', path: pathOf(name, 'binding'), body: { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target: { apiVersion: 'v1', kind: 'Node', name: 'old' } } })
      await kube.call({ method: 'PATCH', path: pathOf(name, 'status'), contentType: 'application/strategic-merge-patch+json', body: { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] } } })
    }
    await until('the budget to know them', async () => (await kubectl('get', 'pdb', '-n', 'drained', '-o', 'jsonpath={.items[*].status.expectedPods}')) === '2', 60_000, 200)
    for (const name of pods) await kube.call({ method: 'POST', path: pathOf(name, 'eviction'), tries: 1, body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } } })
  })

  it('lets who may edit a namespace scale a MailRelay from 2 to 3, also on condition, and who may view it look at its scale', async () => {
    await helm(api, 'install', 'people-posthouse', chartFolder, '--namespace', 'people', '--create-namespace', '--take-ownership', '--set', 'rbac.aggregate=true')
    await kubectl('wait', '--for=condition=Established', 'crd/mailrelays.posthouse.dev')
    for (const [role, user] of [['edit', 'editor'], ['view', 'viewer']]) await kubectl('create', 'rolebinding', user!, '-n', 'people', `--clusterrole=${role}`, `--user=${user}`)
    await kubectl.apply({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'people' }, spec: { hostname: 'mx.example', replicas: 2 } })
    await until('the roles to be added up', async () => (await kubectl.may('auth', 'can-i', 'patch', 'mailrelays.posthouse.dev/scale', '-n', 'people', '--as=editor')).code === 0, 60_000, 200)
    await kubectl('scale', 'mailrelay', 'main', '-n', 'people', '--current-replicas=2', '--replicas=3', '--as=editor')
    assert.equal(await kubectl('get', 'mailrelay', 'main', '-n', 'people', '--subresource=scale', '-o', 'jsonpath={.spec.replicas}', '--as=viewer'), '3')
  })
})
