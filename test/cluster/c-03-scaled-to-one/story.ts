// Two of three relay pods leave for good while 10,000 mails wait for hosts that are away and new mail flows: the one that stays has it all.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { namespace, standFleet, type Fleet } from '../tools/fleet.ts'
import { gaugeOf, type Pod } from '../tools/pods.ts'
import { joinCluster } from '../tools/shared.ts'
import { settle, startTraffic, troubleOf } from '../tools/traffic.ts'

const count = 10_000

export const story: Story = {
  title: `kubectl scale from 3 pods to 1 with ${count.toLocaleString('en')} mails deferred and mail flowing: 0 lost, none waits for a pod that is gone`,
  needs: ['own cluster'],
  limitSeconds: 900,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    const fleet = await standFleet(cluster, ctx)

    ctx.step(`${count} mails to hosts that are away`)
    fleet.away.isAway = true
    const began = Date.now()
    const filled = await startTraffic(fleet, { domains: fleet.awayDomains, clients: 60, count, prefix: 'waits' }).done
    ctx.note('mails accepted per second', Math.round((count * 1000) / (Date.now() - began)))
    await until('all of them to be deferred', async () => (await waiting(fleet)) >= count, 120_000, 500)
    ctx.note('deferred', await fleet.deferred())
    assert.equal(fleet.away.recipients().length, 0)

    ctx.step('mail flows; kubectl scale mailrelay/main --replicas=1')
    const flow = startTraffic(fleet, { domains: fleet.domains, clients: 10, pauseMs: 50, prefix: 'flows' })
    await until('mail to flow', () => flow.accepted() > 100, 60_000)
    const lanes = await lanesOf(await fleet.relays())
    assert.ok(lanes > 0, 'no pod says how many lanes it owns')
    flow.longestGap()
    const told = Date.now()
    await kubectl('scale', 'mailrelay/main', '--namespace', namespace, '--replicas=1')
    const left = await until('one pod', async () => ((await fleet.relays()).length === 1 ? (await fleet.relays())[0] : undefined), 200_000, 300)
    ctx.note('seconds until two pods were gone', ((Date.now() - told) / 1000).toFixed(1))
    const gone = Date.now()
    await until('the last pod to own every lane', async () => (await lanesOf([left])) === lanes, 100_000, 200)
    ctx.note('seconds until the last owned all lanes', ((Date.now() - gone) / 1000).toFixed(1))
    ctx.note('lanes', lanes)

    ctx.step('the hosts are back: everything arrives, wherever it was when its pod left')
    fleet.away.isAway = false
    const wanted = new Set(filled.accepted)
    await until('the deferred to arrive', () => new Set(fleet.away.recipients()).size >= wanted.size, 400_000, 500)
    ctx.note('longest time without a 250, s', flow.longestGap().toFixed(1))
    const flowed = await flow.stop()
    ctx.note('what clients saw', troubleOf(flowed))
    const duplicates = await settle(ctx, fleet, [filled, flowed])
    assert.equal(duplicates, 0, 'pods that leave in order send nothing twice')
    for (const text of flowed.trouble.keys()) assert.match(text, /^421 /)

    ctx.step('three again')
    await kubectl('scale', 'mailrelay/main', '--namespace', namespace, '--replicas=3')
    await fleet.leaveWhole()
  },
}

/** What lies in the queue for them, due or not. */
const waiting = async ({ posthouse }: Fleet): Promise<number> =>
  (await posthouse<{ domain: string; ready: number; deferred: number }[]>('queue')).filter(({ domain }) => domain.startsWith('away')).reduce((sum, { ready, deferred }) => sum + ready + deferred, 0)

const lanesOf = async (pods: readonly Pod[]): Promise<number> => (await Promise.all(pods.map((pod) => gaugeOf(pod, 'posthouse_queue_lanes_owned')))).reduce<number>((sum, lanes) => sum + (lanes ?? 0), 0)
