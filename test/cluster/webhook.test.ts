// An admission webhook of somebody else that hangs, on a real API server: it holds up the objects it is asked about, and nobody else's.
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { certificateFor, newAuthority } from '../../operator/index.ts'
import { applyObject, type Resource } from '../../operator/kube/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { startOperatorWorld, type OperatorWorld } from './tools/operator.ts'

const webhooks: Resource = { group: 'admissionregistration.k8s.io', version: 'v1', kind: 'ValidatingWebhookConfiguration', plural: 'validatingwebhookconfigurations', namespaced: false }

const lacks = apiServerLacks()
describe('a webhook that does not answer within its 30 s', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let operated: OperatorWorld
  let server: Server

  before(async () => {
    operated = await startOperatorWorld(['mail', 'shop'])
    const authority = newAuthority(new Date())
    const { certificate, key } = certificateFor(['127.0.0.1'], authority, new Date())
    server = createServer({ cert: certificate, key }, () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const rules = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['*'], resources: ['deployments'], scope: '*' }]
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } }
    const hangs = { name: 'hangs.example.org', clientConfig: { url, caBundle: Buffer.from(authority.certificate).toString('base64') }, rules, namespaceSelector, timeoutSeconds: 30, sideEffects: 'None', admissionReviewVersions: ['v1'] }
    await applyObject(operated.kube, webhooks, { metadata: { name: 'hangs' }, webhooks: [hangs] })
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await operated.stop()
  })

  it('holds up 1 Deployment, and its MailRelay says so in its words; another MailRelay is made, and changed, with 0 runs that failed', async () => {
    await operated.save('MailRelay', 'slow', { hostname: 'slow.example' }, 'shop')
    await until('the webhook to be asked', async () => new Promise<boolean>((resolve) => server.getConnections((_, count) => resolve(count > 0))))
    await operated.save('MailRelay', 'main', { hostname: 'mx.example' })
    await operated.becomes('MailRelay', 'slow', 'Programmed', 'NotApplied', 'shop')
    assert.match((await operated.condition('MailRelay', 'slow', 'Ready', 'shop'))!.message, /^the API server refuses it: .*deployments\/slow.*hangs\.example\.org/)
    await until('the other Deployment', () => operated.get(resources.deployment, 'main'))
    assert.equal(await operated.get(resources.deployment, 'slow', 'shop'), undefined)
    await operated.save('MailRelay', 'main', { hostname: 'mx.example', replicas: 3 })
    await until('3 replicas', async () => ((await operated.get(resources.deployment, 'main'))!.spec as { replicas: number }).replicas === 3)
    assert.deepEqual(operated.troubles, [])
  })
})
