// A purge on full volumes: nats-server 2.15.1 begins to read the stream anew while it holds the lock that this needs, on each server that has the stream. Their liveness probe is content for ever.
import assert from 'node:assert/strict'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mailTo } from '../../tools/mails.ts'
import type { TestNats } from '../../tools/nats.ts'
import { queuedRecipients, type Relay } from '../../tools/relay-process.ts'
import type { SmallVolume } from '../../tools/small-volume.ts'
import { openSmtp, sendMail } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import { startOnSmallVolumes } from '../small-volumes.ts'
import type { Story } from '../story.ts'

const megabytes = 64
const mails = 20
const records = 4_000 // what remains of each is more than fits behind the last record of a full volume
const rounds = 5

export const story: Story = {
  title: `A purge on 3 full volumes locks servers up that seem to be well: the relays say of each that it is stuck and of none that is not, and started anew they have all ${mails} mails`,
  needs: ['root', 'own network'],
  mostlyWaits: true,
  limitSeconds: 900,
  run: async (ctx) => {
    const { volumes, nats, sink, fleet, domains: [domain], open } = await startOnSmallVolumes(ctx, { megabytes, domains: 1 })
    const accepted: string[] = []
    const send = async (): Promise<string> => {
      const to = `r${accepted.length}@${domain}`
      const line = await openSmtp(fleet.ports()[0]!)
      await line.say('EHLO client.example')
      const said = await sendMail(line, mailTo(to))
      line.close()
      if (said.data?.code === 250) accepted.push(to)
      return said.data?.text ?? ''
    }
    while (accepted.length < mails) assert.match(await send(), /^250 /)

    const client = await connect({ servers: [...nats.urls], maxReconnectAttempts: -1 })
    ctx.cleanup(() => client.close())
    let stuck: readonly number[] = []
    for (let round = 1; stuck.length === 0; round++) {
      assert.ok(round <= rounds, `no server of 3 locked up in ${rounds} rounds`)
      ctx.step(`round ${round}: a purge on 3 full volumes, while the relays stand still`)
      await write(client, `${fleet.snapshot.relay.queue}.body.of-nobody`)
      for (const { child } of fleet.relays) child.signal('SIGSTOP')
      volumes.forEach((volume, index) => fillBut(volume, join(nats.folder, `n${index}`)))
      await client.request(`$JS.API.STREAM.PURGE.${fleet.snapshot.relay.queue}`, JSON.stringify({ filter: `${fleet.snapshot.relay.queue}.body.of-nobody.>` }), { timeout: 5_000 }).catch(() => {})
      stuck = await whichOf(nats, isStuck)
      for (const { child } of fleet.relays) child.signal('SIGCONT')
      if (stuck.length === 0) await startAnew(nats, volumes, [0, 1, 2])
    }
    ctx.note('servers that locked up', stuck.length)

    ctx.step('both relays say which')
    const names = (indices: readonly number[]): string => indices.map((index) => new URL(nats.monitorUrls[index]!).host).sort().join()
    const saysWhich = async (relay: Relay): Promise<boolean> => {
      const told = (await said(relay)).filter((one) => one.stuck).map(({ name }) => name).sort().join()
      return told !== '' && told === names(await whichOf(nats, isStuck)) // one may have turned JetStream off meanwhile, which its liveness probe sees
    }
    for (const relay of fleet.relays) await until(`${relay.name} to say it`, () => saysWhich(relay), 180_000, 1_000)

    ctx.step('there is room, and the servers are started anew: nothing that was accepted is lost')
    await startAnew(nats, volumes, [0, 1, 2])
    await until('mail to be taken', async () => (await send().catch(() => '')).startsWith('250 '), 240_000, 1_000)
    for (const relay of fleet.relays) await until(`${relay.name} to see 3 servers`, async () => (await said(relay)).every(({ up }) => up), 120_000, 1_000)
    open()
    await until('everything accepted at the next host', () => accepted.every((to) => sink.recipients().includes(to)), 240_000, 250)
    await until('an empty queue', async () => (await queuedRecipients(fleet.relays[0]!)).length === 0, 120_000, 500)
  },
}

type Said = { readonly name: string; readonly up: boolean; readonly stuck: boolean }

/** As it tells the operator. */
const said = async ({ httpPort }: Relay): Promise<readonly Said[]> => ((await (await fetch(`http://127.0.0.1:${httpPort}/status`)).json()) as { servers?: Said[] }).servers ?? []

/** But for what the servers write to agree on the purge; those that cannot turn JetStream off. */
const fillBut = (volume: SmallVolume, folder: string): void => {
  const spare = join(folder, 'spare')
  writeFileSync(spare, Buffer.alloc(32_768))
  volume.fill()
  rmSync(spare)
}

const write = async (client: NatsConnection, prefix: string): Promise<void> => {
  for (let n = 0; n < records; n += 200) await Promise.all(Array.from({ length: 200 }, (_, k) => until('a record to be stored', () => client.request(`${prefix}.${n + k}`, 'x'.repeat(500), { timeout: 10_000 }).then(() => true, () => false), 120_000)))
}

const whichOf = async ({ monitorUrls }: TestNats, test: (url: string) => Promise<boolean>): Promise<number[]> => {
  const found = await Promise.all(monitorUrls.map(test))
  return [0, 1, 2].filter((index) => found[index])
}
const answers = (url: string, ms: number): Promise<boolean> => fetch(url, { signal: AbortSignal.timeout(ms) }).then(async (answer) => (await answer.text(), answer.ok), () => false)
const isAlive = (url: string): Promise<boolean> => answers(`${url}/healthz?js-enabled-only=true`, 5_000)
const isStuck = async (url: string): Promise<boolean> => !(await answers(`${url}/jsz`, 10_000)) && (await isAlive(url))

const startAnew = async (nats: TestNats, volumes: readonly SmallVolume[], indices: readonly number[]): Promise<void> => {
  for (const volume of volumes) volume.free()
  await Promise.all(indices.map((index) => nats.kill(index)))
  await Promise.all(indices.map((index) => nats.restart(index)))
}
