// Two operators: one acts. It is killed, hangs and comes back, is deleted: each time the other is in its place, and at no time both act.
import assert from 'node:assert/strict'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { namespace, standFleet, type Fleet } from '../tools/fleet.ts'
import type { Kubectl } from '../tools/kubectl.ts'
import { operatorNamespace } from '../tools/posthouse.ts'
import { signalPod, type Pod } from '../tools/pods.ts'
import { joinCluster } from '../tools/shared.ts'

const barSeconds = 20

export const story: Story = {
  title: `Of two operators one acts; one that is killed, or hangs, is replaced (bar: ${barSeconds} s), and one that wakes up again does nothing`,
  needs: ['own cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    const fleet = await standFleet(cluster, ctx)
    await until('two operators', async () => (await fleet.operators()).filter(({ ready, leaving }) => ready && !leaving).length === 2, 120_000, 300)

    ctx.step('one acts, the other waits')
    const first = await leaderOf(kubectl, fleet)
    const second = (await fleet.operators()).find(({ uid }) => uid !== first.pod.uid)!
    assert.equal((await eventsOf(kubectl, first.pod)).at(-1), 'LEADING')
    assert.equal((await eventsOf(kubectl, second)).at(-1), 'WAITING_FOR_LEASE')

    ctx.step('killed')
    const afterKill = await replaced(ctx, { kubectl, fleet }, 'killed', first.holder, () => signalPod(first.pod, 'SIGKILL'))
    await acts(kubectl, 'after-kill')

    ctx.step('it hangs; the other acts; it wakes up and ends, having done nothing')
    const sleeper = afterKill.pod
    const afterHang = await replaced(ctx, { kubectl, fleet }, 'hanging', afterKill.holder, () => signalPod(sleeper, 'SIGSTOP'))
    await acts(kubectl, 'while-it-hangs')
    signalPod(sleeper, 'SIGCONT')
    await until('it to have ended for the lease', async () => (await eventsOf(kubectl, sleeper, '--previous')).includes('LEASE_LOST'), 60_000, 300)
    const said = await eventsOf(kubectl, sleeper, '--previous')
    assert.deepEqual(said.slice(said.lastIndexOf('LEADING') + 1), ['LEASE_LOST'])
    assert.equal((await leaderOf(kubectl, fleet)).holder, afterHang.holder)

    ctx.step('deleted, with time to let go')
    await replaced(ctx, { kubectl, fleet }, 'deleted', afterHang.holder, () => kubectl('delete', 'pod', afterHang.pod.name, '--namespace', operatorNamespace, '--wait=false'))
    await acts(kubectl, 'after-delete')
    await fleet.leaveWhole()
  },
}

type Leader = { readonly holder: string; readonly pod: Pod }

/** Its name in the Lease begins with its pod's. */
const leaderOf = async (kubectl: Kubectl, fleet: Fleet): Promise<Leader> => {
  const { spec } = await kubectl.json<{ spec: { holderIdentity: string } }>('get', 'lease', 'posthouse-operator', '--namespace', operatorNamespace)
  const holder = spec.holderIdentity
  const pod = (await fleet.operators()).find(({ name }) => holder.startsWith(`${name}_`))
  if (pod === undefined) throw new Error(`the lease is held by ${holder === '' ? 'nobody' : holder}, which is no pod`)
  return { holder, pod }
}

const replaced = async (ctx: Ctx, { kubectl, fleet }: { kubectl: Kubectl; fleet: Fleet }, how: string, old: string, harm: () => unknown): Promise<Leader> => {
  const began = Date.now()
  await harm()
  const next = await until('another to lead', async () => leaderOf(kubectl, fleet).then((leader) => (leader.holder === old ? undefined : leader)), barSeconds * 10_000, 200)
  ctx.note(`seconds until one that was ${how} was replaced`, ((Date.now() - began) / 1000).toFixed(1))
  return next
}

/** A manifest that is new gets its condition: somebody acts. */
const acts = async (kubectl: Kubectl, name: string): Promise<void> => {
  await kubectl.apply({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailDomain', metadata: { name, namespace }, spec: { domain: `${name}.example` } })
  await kubectl('wait', '--namespace', namespace, '--for=condition=Accepted', `maildomain/${name}`, '--timeout=300s')
  await kubectl('delete', 'maildomain', name, '--namespace', namespace)
}

const turns = new Set(['WAITING_FOR_LEASE', 'LEADING', 'LEASE_LOST', 'STOPPED'])

/** What an operator said of its turns, in order; lines that are no JSON are none of its own. */
const eventsOf = async (kubectl: Kubectl, { name }: Pod, ...how: string[]): Promise<string[]> => {
  const { stdout } = await kubectl.may('logs', name, '--namespace', operatorNamespace, ...how)
  const events = stdout.split('\n').flatMap((line) => (line.startsWith('{') ? [(JSON.parse(line) as { event: string }).event] : []))
  return events.filter((event) => turns.has(event))
}
