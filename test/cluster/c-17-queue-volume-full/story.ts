// The volume of a queue that one server keeps is full of something else. The relay says so, and once there is room the kubelet's probe brings the server back, which does not begin to write again by itself.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { mkdirSync } from 'node:fs'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { firstRefusal } from '../../tools/first-refusal.ts'
import { until } from '../../tools/until.ts'
import { inMachine } from '../tools/cluster.ts'
import { inRelay, install } from '../tools/posthouse.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'
import { fromOutside, SmallRelay } from '../tools/small-relay.ts'

const megabytes = 64
const namespace = 'c-17'

export const story: Story = {
  title: 'The one volume of a queue is full of something else: 0 mails are taken, DurableAccept says why, room and the kubelet bring it back, and 0 of those in the queue are lost',
  needs: ['own cluster'],
  limitSeconds: 900,
  run: async (ctx) => {
    const cluster = joinCluster()
    await install(cluster, ctx)
    const volume = await smallVolume(cluster, ctx)
    const relay = new SmallRelay(cluster, namespace)
    await relay.make(ctx)
    const at = await relay.clusterIp()
    const send = (): Promise<string> => fromOutside(at, 'fred@hosted.example').catch((error: unknown) => String(error)) // a relay that is not ready is no longer behind the Service

    ctx.step('10 mails wait for a host that does not exist')
    for (let n = 0; n < 10; n++) assert.match(await send(), /^250 /)
    assert.equal(await waiting(cluster), 10)

    ctx.step('the volume is full')
    await volume.fill()
    const full = Date.now()
    const { stored, told } = await firstRefusal(send)
    ctx.note('what the first client is told whose mail is not stored', `${told} (after ${stored} that fitted)`)
    assert.match(told, /^451 4\.3\.0 Not stored/)
    await relay.becomes('DurableAccept', 'Unreachable', { ms: 300_000 })
    ctx.note('seconds until DurableAccept said so', seconds(full))

    ctx.step('there is room again: the server is started anew, nobody does it by hand')
    await volume.free()
    const freed = Date.now()
    await until('mail to be taken', async () => (await send()).startsWith('250 '), 600_000, 1000)
    ctx.note('seconds from room to the first mail taken', seconds(freed))
    const restarts = Number(await cluster.kubectl('get', 'pod', 'main-queue-0', '-n', namespace, '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'))
    ctx.note('times that the server was started anew', restarts)
    assert.ok(restarts > 0, 'the kubelet did it')
    await cluster.kubectl('wait', '--namespace', namespace, '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')
    await cluster.kubectl('wait', '--namespace', namespace, '--for=condition=DurableAccept', 'mailrelay/main', '--timeout=300s')
    assert.equal(await waiting(cluster), 10 + stored + 1)
  },
}

const seconds = (since: number): string => ((Date.now() - since) / 1000).toFixed(0)

/** Mounted in the node, where the volume of the queue will be taken from. */
const smallVolume = async ({ own }: Joined, ctx: Ctx): Promise<{ fill(): Promise<void>; free(): Promise<void> }> => {
  const folder = join(own!.folder, 'volumes', `${namespace}-0`)
  const node = async (...args: [string, ...string[]]): Promise<void> => {
    const { code, output } = await inMachine(own!, ...args)
    if (code !== 0) throw new Error(`${args.join(' ')}: ${output}`)
  }
  mkdirSync(folder, { recursive: true })
  await node('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0777`, 'none', folder)
  ctx.cleanup(() => inMachine(own!, 'umount', '--lazy', folder))
  const other = join(folder, 'of-somebody-else')
  return {
    fill: async () => {
      await inMachine(own!, 'sh', '-c', `cat /dev/zero >${other}`) // to the last byte, and that is an error
      const { stdout } = await inMachine(own!, 'df', '--output=avail', folder)
      assert.equal(stdout.trim().split(/\s+/)[1], '0')
    },
    free: () => node('rm', other),
  }
}

const waiting = async ({ kubectl }: Joined): Promise<number> => {
  const rows = await inRelay<{ ready: number; deferred: number; held: number }[]>(kubectl, namespace, 'deployment/main', 'queue')
  return rows.reduce((sum, { ready, deferred, held }) => sum + ready + deferred + held, 0)
}
