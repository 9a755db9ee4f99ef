// A volume is full though the queue is not: something else took the room. The servers cannot write any more, and would not begin again by themselves when there is room.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { firstRefusal } from '../../tools/first-refusal.ts'
import { sendAll } from '../../tools/load-client.ts'
import { mailsUntil, mailTo } from '../../tools/mails.ts'
import { startTestNats, type TestNats } from '../../tools/nats.ts'
import { addDomains, copyManifests, startFleet, startStandalone } from '../../tools/relay-process.ts'
import { settleAccounts } from '../../tools/settle-accounts.ts'
import { startSink } from '../../tools/sink.ts'
import { mountSmall, type SmallVolume } from '../../tools/small-volume.ts'
import { openSmtp, refusalIn, sendMail } from '../../tools/smtp-client.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Ctx, Story } from '../story.ts'

const megabytes = 48

export const story: Story = {
  title: 'Volumes fill up under the servers, 1 of 3, then all 3, and the one of a relay alone: clients are told 451, room brings everything back by itself, and nothing is lost',
  needs: ['root', 'own network'],
  mostlyWaits: true,
  limitSeconds: 900,
  run: async (ctx) => {
    await ofThree(ctx)
    await alone(ctx)
  },
}

const ofThree = async (ctx: Ctx): Promise<void> => {
  const volumes: SmallVolume[] = []
  const nats = await startTestNats(3, (folder) => void volumes.push(mountSmall(folder, megabytes)))
  ctx.cleanup(() => nats.stop())
  ctx.cleanup(keepStarted(nats))
  const sink = await startSink({ keepData: false })
  ctx.cleanup(() => sink.close())
  const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'))
  const domains = addDomains(manifests, 30, sink.port)
  const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 2 })
  ctx.cleanup(() => fleet.stop())
  const load = { accepted: 0, isOver: false }
  const sending = sendAll({ ports: fleet.ports(), clients: 8, mails: mailsUntil(domains, () => load.isOver), onAccepted: (sum) => (load.accepted = sum), pauseMs: 200, patienceMs: 400_000 })
  sending.catch(() => {}) // heard below
  const more = async (count: number, sinceMs = Date.now()): Promise<string> => {
    const before = load.accepted
    await until(`${count} more mails taken`, () => load.accepted >= before + count, 180_000, 100)
    return ((Date.now() - sinceMs) / 1000).toFixed(1)
  }

  ctx.step('the volume of 1 of 3 servers is full: mail goes on being taken')
  await more(40)
  volumes[0]!.fill()
  await until('its server to have turned JetStream off', async () => !(await isWell(nats, 0)), 60_000, 100)
  ctx.note('1 of 3 full: seconds for 100 more mails', await more(100))

  ctx.step('all 3 are full: nothing is taken, and the relays say so')
  for (const volume of volumes) volume.fill()
  const full = Date.now()
  for (const relay of fleet.relays) await until(`${relay.name} to say it`, () => relay.log().some(({ code, time }) => code === 'QUEUE_UNREACHABLE' && Date.parse(time) >= full - 1000), 120_000, 100)
  ctx.note('all 3 full: seconds until both relays said so', ((Date.now() - full) / 1000).toFixed(1))
  const none = load.accepted
  await sleep(5_000)
  assert.equal(load.accepted, none)

  ctx.step('there is room again')
  const freed = Date.now()
  for (const volume of volumes) volume.free()
  ctx.note('room again: seconds until 40 mails were taken', await more(40, freed))
  load.isOver = true
  await settleAccounts(ctx, { sent: await sending, sink, relay: fleet.relays[0]! })
}

/** What the liveness probe of the operator's pods asks. */
const isWell = async ({ monitorUrls }: TestNats, index: number): Promise<boolean> => (await fetch(`${monitorUrls[index]}/healthz?js-enabled-only=true`, { signal: AbortSignal.timeout(3_000) }).catch(() => undefined))?.ok === true

/** Does what a kubelet does: a server that is not well 3 times in a row is started anew. Returns what ends it. */
const keepStarted = (nats: TestNats): (() => Promise<void>) => {
  let isOver = false
  const keep = async (index: number): Promise<void> => {
    for (let failures = 0; !isOver; await sleep(1_000)) {
      failures = (await isWell(nats, index)) ? 0 : failures + 1
      if (failures < 3) continue
      failures = 0
      await nats.kill(index, 'SIGTERM')
      await nats.restart(index).catch(() => {}) // its volume is still full
    }
  }
  const kept = Promise.all([0, 1, 2].map(keep))
  return async () => {
    isOver = true
    await kept
  }
}

const alone = async (ctx: Ctx): Promise<void> => {
  const folder = join(ctx.folder, 'alone')
  const volume = mountSmall(folder, megabytes)
  let isOpen = false
  const sink = await startSink({ keepData: false, command: (verb) => (verb === 'MAIL' && !isOpen ? '451 4.3.0 not yet' : undefined) })
  ctx.cleanup(() => sink.close())
  const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests-alone'))
  const [domain] = addDomains(manifests, 1, sink.port)
  const relay = await startStandalone({ folder, manifests })
  ctx.cleanup(() => relay.stop())
  const accepted: string[] = []
  const send = async (name: string, bytes: number): Promise<string> => {
    const client = await openSmtp(relay.ports.mx!)
    await client.say('EHLO client.example')
    const said = await sendMail(client, { ...mailTo(`${name}@${domain}`), data: `Subject: ${name}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}` })
    client.close()
    if (said.data?.code === 250) accepted.push(`${name}@${domain}`)
    return (refusalIn(said) ?? said.data!).text
  }

  ctx.step('a relay alone: its volume is full, with mail in the queue')
  for (let n = 0; n < 10; n++) assert.match(await send(`r${n}`, 5_000), /^250 /)
  volume.fill()
  const full = Date.now()
  const told = await Promise.all([firstRefusal((n) => send(`small${n}`, 500)).then(({ told: small }) => small), send('big', 200_000)])
  ctx.note('a relay alone and full: what clients are told', told.join(' | '))
  for (const text of told) assert.match(text, /^451 4\.3\.0 Not stored \(.+\); keep the message/)
  await until('the relay to say that nothing is stored', async () => /store nothing|one does that cannot write/.test(await relay.readiness()), 120_000, 100) // what failed first decides whether the server still answers
  ctx.note('seconds until it says that nothing is stored', ((Date.now() - full) / 1000).toFixed(1))

  ctx.step('there is room again: it goes on by itself')
  volume.free()
  const freed = Date.now()
  await until('mail to be taken', async () => (await send(`late${accepted.length}`, 500)).startsWith('250 '), 180_000, 500).catch(async (error: unknown) => {
    const words = [await relay.readiness(), relay.child.output(), readFileSync(join(relay.data, 'nats', 'nats.log'), 'utf8')].map((text) => text.slice(-3_000))
    throw new Error(`there is room, and no mail is taken. The relay, its parent, and the server say:\n${words.join('\n---\n')}`, { cause: error })
  })
  ctx.note('seconds from room to the first mail taken', ((Date.now() - freed) / 1000).toFixed(1))
  isOpen = true
  await until('everything accepted at the next host', () => accepted.every((to) => sink.recipients().includes(to)), 120_000, 250)
  assert.equal(relay.child.running(), true)
}
