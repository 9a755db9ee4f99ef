// MailSenders with a ServiceAccount, against a real API server: tokens from TokenRequest, its keys read by the operator, and the relay's own receiving side that checks them.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { applyObject, createKube, openAccess, readOne, type Kube, type KubeObject } from '../../operator/kube/index.ts'
import { startOperator, type RunningOperator } from '../../operator/main.ts'
import { resources } from '../../operator/plan/index.ts'
import type { Snapshot } from '../../relay/snapshot/index.ts'
import { plainLogin, startTestReceiver } from '../tools/receive.ts'
import { readSnapshotOf } from '../tools/snapshot-secrets.ts'
import { openLine } from '../tools/talk.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks, startApiServer, type ApiServer } from './tools/api-server.ts'
import { applyKinds, namespaceResource, resourceOf } from './tools/operator.ts'

const audience = 'posthouse.dev/mail/main'
const refreshSeconds = 60

const lacks = apiServerLacks()
describe('tokens of ServiceAccounts', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let api: ApiServer
  let kube: Kube
  let operator: RunningOperator
  const save = (kind: string, key: string, spec: object): Promise<KubeObject> => applyObject(kube, resourceOf(kind), { metadata: { namespace: key.split('/')[0]!, name: key.split('/')[1]! }, spec })
  const account = (key: string) => applyObject(kube, resources.serviceAccount, { metadata: { namespace: key.split('/')[0]!, name: key.split('/')[1]! } })
  const tokenOf = async (key: string, audiences = [audience], expirationSeconds = 3600): Promise<string> => {
    const [namespace, name] = key.split('/')
    const { status } = await kube.call<{ status: { token: string } }>({ method: 'POST', path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences, expirationSeconds } } })
    return status.token
  }
  const conditionOf = async (key: string): Promise<string> => {
    const live = await readOne(kube, resourceOf('MailSender'), { namespace: key.split('/')[0]!, name: key.split('/')[1]! })
    const { conditions = [] } = (live?.status ?? {}) as { conditions?: readonly { type: string; status: string; reason: string }[] }
    const found = conditions.find(({ type }) => type === 'CredentialsReady')
    return `${found?.status} ${found?.reason}`
  }
  /** What a relay with this snapshot answers to the token. */
  const ask = async (snapshot: Snapshot, token: string, mechanism: 'PLAIN' | 'OAUTHBEARER' = 'PLAIN'): Promise<string> => {
    const receiver = await startTestReceiver(snapshot)
    const line = await openLine({ port: receiver.port('submission') })
    try {
      await line.reply(30_000)
      for (const said of ['EHLO pod.example', 'STARTTLS']) await line.ask(said)
      await line.startTls()
      await line.ask('EHLO pod.example')
      const credential = mechanism === 'PLAIN' ? plainLogin('shop', token) : Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`).toString('base64')
      return await line.ask(`AUTH ${mechanism} ${credential}`)
    } finally {
      line.destroy()
      await receiver.stop()
    }
  }
  const snapshotOf = (name = 'main'): Promise<Snapshot> => readSnapshotOf(kube, 'mail', name)

  before(async () => {
    api = await startApiServer()
    kube = createKube(await openAccess(api.kubeconfig))
    await applyKinds(kube)
    for (const name of ['mail', 'shop']) await applyObject(kube, namespaceResource, { metadata: { name } })
    for (const key of ['shop/shop', 'shop/other', 'mail/shop']) await account(key)
    operator = await startOperator({ kubeconfig: api.kubeconfig, namespace: 'default', identity: 'one', settings: { image: 'posthouse:test', natsImage: 'nats:test', imagePullPolicy: 'IfNotPresent', clusterDomain: 'cluster.local' }, say: () => {} })
    await until('the kinds', () => save('MailRelay', 'mail/main', { hostname: 'mx.example', listeners: [{ name: 'submission', protocol: 'Submission', port: 587, allowedSenders: { namespaces: { from: 'All' } } }] }).then(() => true, () => false), 30_000)
    await save('MailDomain', 'mail/browncow', { domain: 'browncow.example', allowedSenders: { namespaces: { from: 'All' } } })
    await save('MailSender', 'shop/shop', { relayRef: { name: 'main', namespace: 'mail' }, identity: { serviceAccountName: 'shop' }, from: ['orders@browncow.example'] })
    await until('the sender to be ready', async () => (await conditionOf('shop/shop')) === 'True CredentialsReady', 60_000)
  })
  after(async () => {
    await operator.stop()
    await api.stop()
  })

  it('from TokenRequest are taken as PLAIN and OAUTHBEARER by 1 relay, with keys that the API server showed', async () => {
    await until('the keys in the snapshot', async () => (await snapshotOf()).relay.tokens !== undefined, 60_000)
    const snapshot = await snapshotOf()
    assert.deepEqual([snapshot.relay.tokens?.issuer, snapshot.relay.tokens?.audience, snapshot.relay.tokens?.keys.length], ['https://kubernetes.default.svc.cluster.local', audience, 1])
    const token = await tokenOf('shop/shop')
    for (const mechanism of ['PLAIN', 'OAUTHBEARER'] as const) assert.equal(await ask(snapshot, token, mechanism), '235 2.7.0 Authenticated as MailSender shop/shop')
  })

  it('come with a Secret of 5 keys for the client, which status.binding names', async () => {
    const secret = await readOne(kube, resources.secret, { namespace: 'shop', name: 'shop-smtp' })
    const data = Object.fromEntries(Object.entries(secret!.data as Record<string, string>).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]))
    assert.deepEqual({ ...data, 'ca.crt': data['ca.crt']!.slice(0, 27) }, { 'ca.crt': '-----BEGIN CERTIFICATE-----', host: 'main.mail.svc', port: '587', audience, uri: 'smtp://main.mail.svc:587' })
    assert.deepEqual(((await readOne(kube, resourceOf('MailSender'), { namespace: 'shop', name: 'shop' }))!.status as { binding: object }).binding, { name: 'shop-smtp' })
  })

  it('for the API server, for another relay, of 2 other accounts, and of another cluster are refused, each for its reason', async () => {
    const snapshot = await snapshotOf()
    assert.match(await ask(snapshot, await tokenOf('shop/shop', [])), /^535 5\.7\.8 Token refused: it is not for this relay, whose audience is posthouse\.dev\/mail\/main$/)
    assert.match(await ask(snapshot, await tokenOf('shop/shop', ['posthouse.dev/mail/second'])), /^535 5\.7\.8 Token refused: it is not for this relay/)
    for (const key of ['shop/other', 'mail/shop']) assert.match(await ask(snapshot, await tokenOf(key)), new RegExp(`^535 5\\.7\\.8 Token refused: no MailSender of namespace ${key.split('/')[0]!} in force on MailRelay mail/main names ServiceAccount ${key}$`))
    const elsewhere = await startApiServer()
    try {
      const there = createKube(await openAccess(elsewhere.kubeconfig))
      await applyObject(there, { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }, { metadata: { name: 'shop' } })
      await applyObject(there, resources.serviceAccount, { metadata: { namespace: 'shop', name: 'shop' } })
      const { status } = await there.call<{ status: { token: string } }>({ method: 'POST', path: '/api/v1/namespaces/shop/serviceaccounts/shop/token', body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience], expirationSeconds: 3600 } } })
      assert.equal(await ask(snapshot, status.token), '535 5.7.8 Token refused: it is not signed by this cluster')
    } finally {
      await elsewhere.stop()
    }
  })

  it('can be had as soon as the ServiceAccount is there: until then 1 condition says that it is not', async () => {
    await save('MailSender', 'shop/late', { relayRef: { name: 'main', namespace: 'mail' }, identity: { serviceAccountName: 'late' }, from: ['late@browncow.example'] })
    const resolved = async (): Promise<string | undefined> => {
      const live = await readOne(kube, resourceOf('MailSender'), { namespace: 'shop', name: 'late' })
      const { conditions } = (live?.status ?? {}) as { conditions?: readonly { type: string; reason: string; message: string }[] }
      const found = conditions?.find(({ type }) => type === 'ResolvedRefs')
      return conditions && (found ? `${found.reason}: ${found.message}` : 'nothing to say')
    }
    await until('it to be told', async () => (await resolved())?.startsWith('AccountNotFound: ServiceAccount shop/late does not exist'), 30_000)
    await account('shop/late')
    await until('it to be told no more', async () => (await resolved()) === 'nothing to say', 30_000)
    await kube.call({ method: 'DELETE', path: '/api/v1/namespaces/shop/serviceaccounts/late' })
    await until('it to be told again', async () => (await resolved())?.startsWith('AccountNotFound'), 30_000)
  })

  it(`are followed when the API server gets a 2nd key to sign with: its tokens are taken within ${refreshSeconds * 2} s, and those of the 1st go on`, async (t: TestContext) => {
    const old = await tokenOf('shop/shop')
    const next = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const file = (name: string): string => join(api.folder, name)
    appendFileSync(file('accounts.pub'), next.publicKey.export({ type: 'spki', format: 'pem' }))
    writeFileSync(file('accounts.key'), next.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await api.interrupt()
    await api.resume()
    const began = Date.now()
    const token = await tokenOf('shop/shop')
    assert.equal(await ask(await snapshotOf(), token), '535 5.7.8 Token refused: it is not signed by this cluster')
    await until('both keys in the snapshot', async () => (await snapshotOf()).relay.tokens?.keys.length === 2, refreshSeconds * 3_000, 500)
    t.diagnostic(`${((Date.now() - began) / 1000).toFixed(0)} s until the snapshot had both keys`)
    for (const one of [token, old]) assert.match(await ask(await snapshotOf(), one), /^235 /)
  })
})
