// Relay pods, NATS servers and operators are killed at seeded moments under load, some by the kernel, some deleted without time to leave.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { chance } from '../../tools/mails.ts'
import { sleep, until } from '../../tools/until.ts'
import { standFleet, type Fleet } from '../tools/fleet.ts'
import type { Kubectl } from '../tools/kubectl.ts'
import { signalPod, type Pod } from '../tools/pods.ts'
import { joinCluster } from '../tools/shared.ts'
import { settle, startTraffic, troubleOf } from '../tools/traffic.ts'

const minutes = process.env.CI === 'true' ? 1 : 5
type Chance = ReturnType<typeof chance>

export const story: Story = {
  title: 'Relay pods, NATS servers and operators killed at random under load, 5 minutes long (1 where CI=true): 0 lost',
  needs: ['own cluster'],
  limitSeconds: 1200,
  run: async (ctx) => {
    const random = chance()
    ctx.note('seed', random.seed)
    const cluster = joinCluster()
    const fleet = await standFleet(cluster, ctx)

    ctx.step(`${minutes} min of kills under load`)
    const traffic = startTraffic(fleet, { domains: fleet.domains, clients: 20, pauseMs: 100 })
    await until('mail to flow', () => traffic.accepted() > 100, 60_000)
    traffic.longestGap()
    const kills = await killing({ fleet, kubectl: cluster.kubectl, random, untilTime: Date.now() + minutes * 60_000 })
    ctx.note('kills', [...Map.groupBy(kills, ({ what, how }) => `${what} ${how}`)].map(([kill, all]) => `${all.length} × ${kill}`).join(', '))
    assert.deepEqual([...new Set(kills.map(({ what }) => what))].toSorted(), ['NATS server', 'operator', 'relay'], 'each kind was killed')

    ctx.step('quiet: mail flows again, the clients get rid of what they hold')
    const then = traffic.accepted()
    await until('mail to flow again', () => traffic.accepted() > then + 100, 300_000)
    ctx.note('longest time without a 250, s', traffic.longestGap().toFixed(1))
    const log = await traffic.stop()
    ctx.note('what clients saw', troubleOf(log))
    await settle(ctx, fleet, [log])
    await fleet.leaveWhole()
  },
}

type Killing = { readonly fleet: Fleet; readonly kubectl: Kubectl; readonly random: Chance; readonly untilTime: number }

type What = 'relay' | 'NATS server' | 'operator'
type Kill = { readonly what: What; readonly how: 'killed' | 'deleted' }

/** In order. */
const killing = async ({ fleet, kubectl, random, untilTime }: Killing): Promise<Kill[]> => {
  const kills: Kill[] = []
  let next: What[] = []
  while (Date.now() < untilTime || new Set(kills.map(({ what }) => what)).size < 3) { // on a slow machine a minute is too short for each kind
    if (next.length === 0) next = tenVictims(random)
    const what = next.pop()!
    const alive = (await podsOf(what, fleet)).filter(({ leaving }) => !leaving)
    const victim = alive[random.below(alive.length)]
    if (victim !== undefined) kills.push({ what, how: await end(victim, kubectl, random) })
    await sleep(1000 + random.below(4000))
  }
  return kills
}

/** Half of them relays, and none of the others left out; the order is chance. */
const tenVictims = (random: Chance): What[] => {
  const left: What[] = ['relay', 'relay', 'relay', 'relay', 'relay', 'NATS server', 'NATS server', 'NATS server', 'operator', 'operator']
  return Array.from({ length: left.length }, () => left.splice(random.below(left.length), 1)[0]!)
}

const podsOf = (what: What, fleet: Fleet): Promise<Pod[]> => ({ relay: fleet.relays, 'NATS server': fleet.servers, operator: fleet.operators })[what]()

/** By the kernel, as when memory runs out; or deleted with a second to leave. A container that ended often waits ever longer for its next start: it is deleted. */
const end = async (victim: Pod, kubectl: Kubectl, random: Chance): Promise<'killed' | 'deleted'> => {
  if (random.below(2) === 0 && victim.restarts < 2 && signalPod(victim, 'SIGKILL')) return 'killed'
  await kubectl.may('delete', 'pod', victim.name, '--namespace', victim.namespace, '--grace-period=1', '--wait=false')
  return 'deleted'
}
