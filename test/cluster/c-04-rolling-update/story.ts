// Every relay pod is replaced under load, through the Service, as an update of the image or the template does it.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { namespace, standFleet } from '../tools/fleet.ts'
import { joinCluster } from '../tools/shared.ts'
import { settle, startTraffic, troubleOf } from '../tools/traffic.ts'

export const story: Story = {
  title: 'A rolling update of three relay pods under load: clients of the Service see success or 421, nothing else, and nothing is lost or sent twice',
  needs: ['own cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    const fleet = await standFleet(cluster, ctx)
    const before = new Set((await fleet.relays()).map(({ uid }) => uid))

    ctx.step('clients that keep their connection, and clients that make one for each mail')
    const kept = startTraffic(fleet, { domains: fleet.domains, clients: 20, pauseMs: 50, prefix: 'kept' })
    const fresh = startTraffic(fleet, { domains: fleet.domains, clients: 10, pauseMs: 20, mailsPerConnection: 1, prefix: 'fresh' })
    await until('mail to flow', () => kept.accepted() > 200 && fresh.accepted() > 50, 60_000)
    for (const traffic of [kept, fresh]) traffic.longestGap()

    ctx.step('an annotation of the pods is changed: the Deployment replaces them one by one')
    const told = Date.now()
    await kubectl('patch', 'mailrelay', 'main', '--namespace', namespace, '--type=merge', '--patch', JSON.stringify({ spec: { pods: { annotations: { 'posthouse.test/rolled': String(told) } } } }))
    const isNew = async (): Promise<boolean> => {
      const pods = await fleet.relays()
      return pods.length === 3 && pods.every(({ uid, ready, leaving }) => !before.has(uid) && ready && !leaving)
    }
    await until('three new pods and none of the old', isNew, 400_000, 300)
    ctx.note('seconds until all were replaced', ((Date.now() - told) / 1000).toFixed(0))
    const then = kept.accepted() + fresh.accepted()
    await until('mail to flow through the new ones', () => kept.accepted() + fresh.accepted() > then + 200, 60_000)

    ctx.step('the account')
    ctx.note('longest time without a 250, s', Math.max(kept.longestGap(), fresh.longestGap()).toFixed(1))
    const logs = await Promise.all([kept.stop(), fresh.stop()])
    ctx.note('what clients saw on kept connections', troubleOf(logs[0]))
    ctx.note('what clients saw on new connections', troubleOf(logs[1]))
    const duplicates = await settle(ctx, fleet, logs)
    assert.equal(duplicates, 0, 'pods that leave in order send nothing twice')
    for (const log of logs) for (const text of log.trouble.keys()) assert.match(text, /^421 /, 'what a client may see')
    await fleet.leaveWhole()
  },
}
