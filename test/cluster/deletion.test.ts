// A MailRelay that is deleted while mail waits in its queue, on a real API server: it stays, delivers, takes nothing new, says so, and goes when the queue is empty or is given up.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathOf } from '../../operator/kube/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { readSnapshotOf } from '../tools/snapshot-secrets.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { namespaceResource, resourceOf, startOperatorWorld, type OperatorWorld } from './tools/operator.ts'
import { standInForPods, type StandIn } from './tools/stand-in-pods.ts'

const relays = resourceOf('MailRelay')
const waiting = { ready: 1, deferred: 3, held: 1, empty: false }
const nothing = { ready: 0, deferred: 0, held: 0, empty: true }
const discard = { metadata: { annotations: { 'posthouse.dev/discard-queue': 'true' } } }

const lacks = apiServerLacks()
describe('a MailRelay that is deleted', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let operated: OperatorWorld
  const standIns: StandIn[] = []
  const stand = async (relay: string, namespace?: string): Promise<StandIn> => {
    const standIn = await standInForPods(operated, relay, namespace)
    standIns.push(standIn)
    return standIn
  }
  const deploymentUid = async (name: string): Promise<string | undefined> => (await operated.get(resources.deployment, name))?.metadata.uid
  const remove = (name: string, options: object = {}, namespace = 'mail') => operated.kube.call({ method: 'DELETE', path: pathOf(relays, { namespace, name }), body: { apiVersion: 'v1', kind: 'DeleteOptions', ...options } })
  const isGone = (name: string, namespace?: string) => until(`${name} gone`, async () => (await operated.get(relays, name, namespace)) === undefined, 60_000)
  const start = async (name: string, namespace?: string): Promise<StandIn> => {
    await operated.save('MailRelay', name, { hostname: 'mx.example' }, namespace)
    const standIn = await stand(name, namespace)
    await operated.becomes('MailRelay', name, 'Programmed', 'Programmed', namespace) // not Ready: no stranger can try here
    return standIn
  }

  before(async () => {
    operated = await startOperatorWorld(['mail', 'ending'])
  })
  after(async () => {
    for (const standIn of standIns) await standIn.stop()
    await operated.stop()
  })

  it('has 1 finalizer of ours once it is in force, and 0 before', async () => {
    await operated.save('MailRelay', 'refused', { hostname: 'mx.example', retryScheduleName: 'gone' })
    await operated.becomes('MailRelay', 'refused', 'Ready', 'RetryScheduleNotFound')
    await start('main')
    assert.deepEqual((await operated.get(relays, 'main'))!.metadata.finalizers, ['posthouse.dev/queue'])
    assert.equal((await operated.get(relays, 'refused'))!.metadata.finalizers, undefined)
    await remove('refused')
    await isGone('refused')
  })

  it('waits for the 5 deliveries in its queue, says so in a condition and an Event, and its pods are told to take no more mail', async () => {
    const standIn = standIns[0]!
    standIn.remains = waiting
    const uid = await deploymentUid('main')
    await remove('main')
    await operated.becomes('MailRelay', 'main', 'Drained', 'QueueNotEmpty')
    const { message } = (await operated.condition('MailRelay', 'main', 'Drained'))!
    assert.match(message, /^5 deliveries wait in its queue \(1 due, 3 deferred, 1 on hold\).*kubectl annotate mailrelay\/main -n mail posthouse\.dev\/discard-queue=true/)
    await operated.becomes('MailRelay', 'main', 'Ready', 'QueueNotEmpty')
    const { items } = await operated.kube.call<{ items: { reason: string; note: string; regarding: { name: string } }[] }>({ path: '/apis/events.k8s.io/v1/namespaces/mail/events' })
    assert.deepEqual(items.filter(({ regarding, reason }) => regarding.name === 'main' && reason === 'QueueNotEmpty').map(({ note }) => note), [message])
    assert.equal((await readSnapshotOf(operated.kube, 'mail', 'main')).relay.closing, true)
    await sleep(3000)
    assert.equal(await deploymentUid('main'), uid)
    assert.notEqual(await operated.get(resources.statefulSet, 'main-queue'), undefined)
  })

  it('goes when its pods twice say that the queue is empty, and 4 kinds of objects go with it', async () => {
    standIns[0]!.remains = nothing
    await isGone('main')
    for (const [resource, name] of [[resources.deployment, 'main'], [resources.statefulSet, 'main-queue'], [resources.service, 'main'], [resources.secret, 'main-ca']] as const) await until(`no ${resource.kind}`, async () => (await operated.get(resource, name)) === undefined, 60_000)
  })

  it('in the foreground waits all the same: what is taken away is made again, 1 time', async () => {
    const standIn = await start('front')
    standIn.remains = waiting
    const uid = await deploymentUid('front')
    await remove('front', { propagationPolicy: 'Foreground' })
    await until('another Deployment', async () => ![undefined, uid].includes(await deploymentUid('front')), 60_000)
    const again = await deploymentUid('front')
    await operated.becomes('MailRelay', 'front', 'Drained', 'QueueNotEmpty')
    await sleep(3000)
    assert.equal(await deploymentUid('front'), again)
    standIn.remains = nothing
    await isGone('front')
  })

  it('whose 0 pods can be asked says what would end it, and is let go by 1 annotation', async () => {
    await start('alone')
    await operated.merge(relays, 'alone', { spec: { replicas: 0 } })
    await operated.becomes('MailRelay', 'alone', 'Ready', 'ScaledToZero')
    await remove('alone')
    await operated.becomes('MailRelay', 'alone', 'Drained', 'QueueUnknown')
    await until('the words for it', async () => /kubectl scale mailrelay\/alone -n mail --replicas=1/.test((await operated.condition('MailRelay', 'alone', 'Drained'))!.message))
    await operated.merge(relays, 'alone', discard)
    await isGone('alone')
  })

  it('whose servers do not answer is not let go: null is not empty', async () => {
    const standIn = await start('deaf')
    standIn.remains = null
    await remove('deaf')
    await operated.becomes('MailRelay', 'deaf', 'Drained', 'QueueUnknown')
    assert.match((await operated.condition('MailRelay', 'deaf', 'Drained'))!.message, /its queue does not answer/)
    await operated.merge(relays, 'deaf', discard)
    await isGone('deaf')
  })

  it('keeps the finalizer of another when ours, 1 of 2, is taken off', async () => {
    await start('shared')
    await operated.merge(relays, 'shared', { metadata: { finalizers: ['posthouse.dev/queue', 'example.com/theirs'] } })
    await remove('shared')
    await until('only theirs', async () => (await operated.get(relays, 'shared'))?.metadata.finalizers?.join() === 'example.com/theirs', 60_000)
    await operated.merge(relays, 'shared', { metadata: { finalizers: null } })
    await isGone('shared')
  })

  it('with its namespace holds the namespace, says why, and 1 annotation ends both; other MailRelays are looked after meanwhile', async () => {
    await start('main', 'ending')
    await operated.kube.call({ method: 'DELETE', path: pathOf(namespaceResource, { name: 'ending' }) })
    await operated.becomes('MailRelay', 'main', 'Drained', 'QueueUnknown', 'ending')
    assert.match((await operated.condition('MailRelay', 'main', 'Drained', 'ending'))!.message, /namespace ending, which is being deleted/)
    const namespace = await until('the namespace to say what it waits for', async () => {
      const { status } = (await operated.get(namespaceResource, 'ending', ''))! as unknown as { status: { conditions?: { type: string; status: string; message: string }[] } }
      return status.conditions?.find(({ type, status: is }) => type === 'NamespaceFinalizersRemaining' && is === 'True')
    }, 60_000)
    assert.match(namespace.message, /posthouse\.dev\/queue in 1 resource/)
    await start('other')
    await operated.merge(relays, 'main', discard, 'ending')
    await until('no namespace', async () => (await operated.get(namespaceResource, 'ending', '')) === undefined, 90_000)
  })

  it('made 0 runs of reconcile fail, but for a namespace that ended in the middle of one', () => {
    assert.deepEqual(operated.troubles.filter((why) => !/because it is being terminated|namespaces? .*(not found|terminat)/i.test(why)), [])
  })
})
