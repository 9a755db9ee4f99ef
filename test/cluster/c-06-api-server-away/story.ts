// The API server hangs, then is gone: relays need it for nothing. When it is back, what was to be done meanwhile is done.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { sleep, until } from '../../tools/until.ts'
import { namespace, standFleet } from '../tools/fleet.ts'
import { enforced } from '../tools/kubectl.ts'
import { gaugeOf, processesOf, signalPod, type Pod } from '../tools/pods.ts'
import { joinCluster } from '../tools/shared.ts'
import { settle, startTraffic, troubleOf } from '../tools/traffic.ts'

const minutes = process.env.CI === 'true' ? 1 : 5

export const story: Story = {
  title: 'The API server is away for 5 minutes (1 where CI=true): mail flows, a killed relay comes back without it; when it is back, everything converges',
  needs: ['own cluster'],
  limitSeconds: 1200,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    const { apiServer } = cluster.own!
    const fleet = await standFleet(cluster, ctx)
    const relays = await fleet.relays()
    const traffic = startTraffic(fleet, { domains: fleet.domains, clients: 10, pauseMs: 100 })
    await until('mail to flow', () => traffic.accepted() > 100, 60_000)
    ctx.cleanup(() => apiServer.resume().catch(() => undefined)) // a story that fails half way leaves a cluster behind

    ctx.step('it hangs: connections stay open, nothing answers; then it is gone')
    const began = Date.now()
    traffic.longestGap()
    await apiServer.freeze()
    const before = traffic.accepted()
    await sleep(minutes * 20_000)
    await apiServer.interrupt()

    ctx.step('the relay with most clients is killed meanwhile: the kubelet alone brings it back')
    const [victim, clients] = await busiest(relays)
    assert.ok(clients > 0, 'somebody notices')
    ctx.note('clients of the relay that was killed', clients)
    const dying = processesOf(victim)
    assert.equal(signalPod(victim, 'SIGKILL'), true)
    await until('its next life', () => processesOf(victim).some((pid) => !dying.includes(pid)), 120_000, 200)
    await sleep(Math.max(0, began + minutes * 60_000 - Date.now()))
    const flowed = traffic.accepted() - before
    ctx.note('mails accepted meanwhile', flowed)
    ctx.note('longest time without a 250 meanwhile, s', traffic.longestGap().toFixed(1))
    assert.ok(flowed > minutes * 60, 'mail flowed')

    ctx.step('it is back, and a change is made')
    await apiServer.resume()
    const back = Date.now()
    const name = `after-${back}`
    await kubectl.apply({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'RelayPolicy', metadata: { name, namespace }, spec: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: { mailFrom: ['*@refused.example'] }, action: 'Deny' }] } })
    await kubectl('wait', '--namespace', namespace, '--for=condition=Ready', `relaypolicy/${name}`, '--timeout=300s')
    await kubectl('wait', '--namespace', namespace, `${enforced}=True`, `relaypolicy/${name}`, '--timeout=300s')
    // mostly the kubelet's: its watches of Secrets are refused at first by an API server that has just started, and wait up to a minute before they try again
    ctx.note('seconds until a change was in force', ((Date.now() - back) / 1000).toFixed(0))
    await kubectl('delete', 'relaypolicy', name, '--namespace', namespace)

    ctx.step('the account')
    ctx.note('longest time without a 250 afterwards, s', traffic.longestGap().toFixed(1))
    const log = await traffic.stop()
    ctx.note('what clients saw', troubleOf(log))
    await settle(ctx, fleet, [log])
    assert.deepEqual((await fleet.relays()).map(({ uid }) => uid).sort(), relays.map(({ uid }) => uid).sort(), 'the same pods')
    await fleet.leaveWhole()
  },
}

const busiest = async (pods: readonly Pod[]): Promise<readonly [Pod, number]> => {
  const counted = await Promise.all(pods.map(async (pod) => [pod, (await gaugeOf(pod, 'posthouse_smtp_connections_open')) ?? 0] as const))
  return counted.toSorted(([, one], [, other]) => other - one)[0]!
}
