// Packets vanish while every connection stays open: round the stream's leader, round a relay, and on the way back from the servers. What was
// answered with 250 is kept, nobody waits for a connection that is dead, and whoever was cut off comes back by itself.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { startDistantNats } from '../../tools/distant-nats.ts'
import { sendAll } from '../../tools/load-client.ts'
import { mailsUntil } from '../../tools/mails.ts'
import { openNetwork, type Host } from '../../tools/own-network.ts'
import { addDomains, copyManifests, startFleet, type Relay } from '../../tools/relay-process.ts'
import { roundOfSettling, settleAccounts, told451 } from '../../tools/settle-accounts.ts'
import { startSink } from '../../tools/sink.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Ctx, Story } from '../story.ts'

const stallSeconds = 20 // a lease lasts 10, an election up to 9
const withinMs = 6 * stallSeconds * 1000 // on a slow machine it stalls for longer
const lanes = 64

export const story: Story = {
  title: `The network stalls for ${stallSeconds} s, round the queue's leader, round 1 of 2 relays, and for answers only, under 20 clients: nothing is lost`,
  needs: ['root', 'own network'],
  mostlyWaits: true,
  limitSeconds: 900,
  run: async (ctx) => {
    const world = await build(ctx)
    const { nats, relays, sink, domains, stream } = world
    const load = { accepted: 0, isOver: false }
    const sending = sendAll({
      ports: relays.map(({ ports }) => ports.mx!),
      host: (port) => relays.find(({ ports }) => ports.mx === port)!.host,
      clients: 20,
      mails: mailsUntil(domains, () => load.isOver),
      onAccepted: (sum) => (load.accepted = sum),
      pauseMs: 600,
      patienceMs: 200_000,
    })
    sending.catch(() => {}) // heard below
    let inFlight = 0
    for (const prepare of stalls) {
      await until('mail to be taken', () => load.accepted >= 20)
      const stall = await prepare(world)
      for (const relay of relays) inFlight += (await statusOf(relay)).counts.inFlight
      await goThrough(ctx, world, stall)
    }
    load.isOver = true
    const sent = await sending
    await settleAccounts(ctx, { sent, sink, relay: relays[0], twice: { atMost: sent.unsure + told451(sent) + inFlight + relays.length * roundOfSettling, because: `in flight when the network stalled: ${inFlight}` } })
    await until('the servers to agree on a leader', async () => {
      const [leader, ...others] = await Promise.all(nats.hosts.map((host) => nats.leader(stream, host)))
      return (leader ?? '') !== '' && others.every((one) => one === leader)
    })
  },
}

type World = Awaited<ReturnType<typeof build>>

const build = async (ctx: Ctx) => {
  const network = openNetwork()
  const sink = await startSink({ host: network.here.address, keepData: false, delay: () => 50 })
  ctx.cleanup(() => sink.close())
  const nats = await startDistantNats(join(ctx.folder, 'nats'), ['queue-0', 'queue-1', 'queue-2'].map(network.add))
  ctx.cleanup(() => nats.stop())
  const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'))
  const domains = addDomains(manifests, 30, sink.port, sink.host)
  const hosts = ['relay-0', 'relay-1'].map(network.add) as [Host, Host]
  const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 2, hosts })
  ctx.cleanup(() => fleet.stop())
  // at different servers, so that one can be cut off without the other
  while ((await nats.serverOf(hosts[0])) === (await nats.serverOf(hosts[1]))) {
    await fleet.relays[1]!.stop()
    await fleet.restart(1)
  }
  return { network, nats, sink, domains, hosts, stream: fleet.snapshot.relay.queue, relays: fleet.relays as [Relay, Relay] }
}

type Stall = {
  readonly title: string
  readonly cut: readonly (readonly [from: readonly Host[], to: readonly Host[]])[]
  /** The relay that is cut off, and the other. */
  readonly busy: Relay
  readonly other: Relay
  /** The relay that is cut off has no way back while it lasts: the other takes over its lanes. */
  readonly forGood: boolean
  /** What else has to be seen while it lasts. */
  meanwhile?(saw: (what: string) => void): Promise<void>
}

const stalls: readonly ((world: World) => Promise<Stall>)[] = [
  async (world) => {
    const { nats, stream } = world
    const { busy, other, host } = await byLanes(world)
    const leader = (await nats.serverOf(host))!
    const followers = nats.hosts.filter((one) => one !== leader)
    await nats.lead(stream, leader)
    return {
      title: 'the leader loses the other two servers, and keeps its clients',
      cut: [[[leader], followers], [followers, [leader]]],
      busy,
      other,
      forGood: false,
      meanwhile: async (saw) => {
        await until('another leader', async () => ![undefined, '', leader.name].includes(await nats.leader(stream, followers[0]!)), withinMs, 100)
        saw('another leads')
        await until(`${busy.name} to go to another server`, async () => ![undefined, leader].includes(await nats.serverOf(host)), withinMs, 100)
        await untilWell(busy)
        saw('the relay is well at another server')
      },
    }
  },
  async (world) => {
    const { busy, other, host } = await byLanes(world)
    return { title: 'a relay loses all three servers', cut: [[[host], world.nats.hosts], [world.nats.hosts, [host]]], busy, other, forGood: true }
  },
  async (world) => {
    const { busy, other, host } = await byLanes(world)
    return { title: 'what a relay says to the servers arrives, and no answer does', cut: [[world.nats.hosts, [host]]], busy, other, forGood: true }
  },
]

/** The relay with more lanes, where it runs, and the other; once every lane has one owner, and who was cut off before knows it. */
const byLanes = async ({ relays, hosts }: World): Promise<{ busy: Relay; host: Host; other: Relay }> => {
  const count = async (relay: Relay): Promise<number> => (await statusOf(relay)).counts.lanesOwned
  const [first, second] = await until('each lane to have one owner', async () => {
    const counts = [await count(relays[0]), await count(relays[1])] as const
    return counts[0] + counts[1] === lanes ? counts : undefined
  }, 120_000)
  return first >= second ? { busy: relays[0], host: hosts[0], other: relays[1] } : { busy: relays[1], host: hosts[1], other: relays[0] }
}

/** Notes when each party noticed, in seconds since the packets vanished, or came back. */
const goThrough = async (ctx: Ctx, { network, relays }: World, { title, cut, busy, other, forGood, meanwhile }: Stall): Promise<void> => {
  ctx.step(title)
  const seen: string[] = []
  const stalled = Date.now()
  const saw = (what: string) => void seen.push(`${what} ${secondsSince(stalled)}`)
  for (const [from, to] of cut) network.lose(from, to)
  await Promise.all([
    until(`${busy.name} to say that it lost its queue`, () => saidLost(busy, stalled), withinMs, 100).then(() => saw('the relay says so')),
    forGood && until(`${other.name} to have every lane`, async () => (await statusOf(other)).counts.lanesOwned === lanes, withinMs, 100).then(() => saw('the other has all lanes')),
    meanwhile?.(saw),
    sleep(stallSeconds * 1000),
  ])
  const lost = network.heal()
  assert.ok(lost > 0, 'no packet was lost')
  const healed = Date.now()
  for (const relay of relays) await untilWell(relay)
  ctx.note(title, `${seen.join(' s, ')} s; healed ${secondsSince(stalled, healed)} s, ${lost} packets lost; both relays well ${secondsSince(healed)} s later`)
}

/** Also where it had lost it just before, by what the last stall left behind, and was not back yet. */
const saidLost = (relay: Relay, since: number): boolean => {
  const said = relay.log().filter(({ code }) => code === 'QUEUE_UNREACHABLE' || code === 'QUEUE_BACK')
  return said.some(({ code, time }) => code === 'QUEUE_UNREACHABLE' && Date.parse(time) >= since) || said.at(-1)?.code === 'QUEUE_UNREACHABLE'
}

const secondsSince = (then: number, now = Date.now()): string => ((now - then) / 1000).toFixed(1)

const statusOf = (relay: Relay) => relay.ask<{ counts: { inFlight: number; lanesOwned: number } }>('status')

const untilWell = (relay: Relay) => until(`${relay.name} to reach its queue`, async () => (await relay.readiness()) === 'ready', 60_000, 100)
