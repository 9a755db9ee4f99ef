// The servers of a queue are changed while mail waits on them: a new login starts them anew one at a time, and three become five. Mail is taken all the while, and none is lost.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { applyOneRelay, conditionOf, sendMany, untilDelivered, untilReady } from '../tools/one-relay.ts'
import { install, startMailstore } from '../tools/posthouse.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'

type StatefulSet = { readonly metadata: { readonly generation: number }; readonly spec: { readonly replicas: number }; readonly status: { readonly observedGeneration: number; readonly readyReplicas?: number; readonly updatedReplicas?: number; readonly currentRevision: string; readonly updateRevision: string } }

export const story: Story = {
  title: 'The servers of a queue get a new login, one at a time and two always ready, and three become five: relay pods are not restarted by the first, and 0 mails are lost',
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx)
    await applyOneRelay(cluster, ctx, 5)
    const subjects = await sendMany(cluster, 'first', 20)
    const login = async (): Promise<Record<string, string>> => (await kubectl.json<{ data: Record<string, string> }>('get', 'secret', 'main-queue', '-n', 'mail')).data
    const relayPods = () => kubectl('get', 'pods', '-n', 'mail', '-l', 'app.kubernetes.io/component=relay', '-o', 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}')

    ctx.step('another login is asked for')
    const [before, pods] = [await login(), await relayPods()]
    const began = Date.now()
    await kubectl('annotate', 'mailrelay', 'main', '-n', 'mail', 'posthouse.dev/rotate-queue-login=once')
    await until('the servers know a second login', async () => (await login())['next-username'] !== undefined, 60_000, 300)
    const fewest = await untilRolled(cluster)
    ctx.note('seconds until all servers had it', ((Date.now() - began) / 1000).toFixed(0))
    assert.ok(fewest >= 2, `${fewest} of 3 servers were ready at one moment`)
    await until('the relay has taken it', async () => (await login()).username === before.username ? undefined : true, 60_000, 300)
    assert.equal((await login())['old-username'], before.username)
    await untilReady(cluster)
    assert.equal(await relayPods(), pods)
    assert.equal(pods.trim().split('\n').length, 2)
    subjects.push(...(await sendMany(cluster, 'second', 20)))

    ctx.step('3 servers become 5')
    const growing = Date.now()
    await kubectl('patch', 'mailrelay', 'main', '-n', 'mail', '--type=merge', '--patch={"spec":{"queue":{"managed":{"replicas":5}}}}')
    await until('5 servers ready, all with the same configuration', async () => isRolled(await statefulSet(cluster), 5), 240_000, 1000)
    await until('the queue is kept by 5', async () => /majority of 5 servers/.test((await conditionOf(cluster, 'DurableAccept'))?.message ?? ''), 120_000, 1000)
    ctx.note('seconds until 5 servers kept the queue', ((Date.now() - growing) / 1000).toFixed(0))
    await untilReady(cluster)
    subjects.push(...(await sendMany(cluster, 'third', 20)))
    const refused = await kubectl.may('patch', 'mailrelay', 'main', '-n', 'mail', '--type=merge', '--patch={"spec":{"queue":{"managed":{"replicas":1}}}}')
    assert.match(refused.output, /can only grow from 3 to 5/)

    ctx.step('all of it is delivered')
    await startMailstore(cluster)
    ctx.note('mails that came twice', await untilDelivered(cluster, subjects))
  },
}

const statefulSet = ({ kubectl }: Joined): Promise<StatefulSet> => kubectl.json<StatefulSet>('get', 'statefulset', 'main-queue', '-n', 'mail')

const isRolled = ({ metadata, spec, status }: StatefulSet, wanted: number): boolean =>
  status.observedGeneration === metadata.generation && spec.replicas === wanted && status.readyReplicas === wanted && status.updatedReplicas === wanted && status.currentRevision === status.updateRevision

/** The fewest that were ready on the way. */
const untilRolled = async (cluster: Joined): Promise<number> => {
  let fewest = Infinity
  let changed = false
  await until('the servers to be started anew', async () => {
    const live = await statefulSet(cluster)
    fewest = Math.min(fewest, live.status.readyReplicas ?? 0)
    changed ||= live.status.currentRevision !== live.status.updateRevision
    return changed && isRolled(live, 3)
  }, 240_000, 400)
  return fewest
}
