// What helm does with the chart on a real API server: names of releases that are long or look like something else.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { apiServerLacks, startApiServer, type ApiServer } from './tools/api-server.ts'
import { isBuilt } from './tools/build.ts'
import { renderObjects } from './tools/chart.ts'
import { kubectlOf, type Kubectl } from './tools/kubectl.ts'

const lacks = [...apiServerLacks(), ...(isBuilt('helm') ? [] : ['node test/cluster/tools/build.ts helm'])]
describe('helm with an API server', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let api: ApiServer
  let kubectl: Kubectl
  before(async () => {
    api = await startApiServer()
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
})
