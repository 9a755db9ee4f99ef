// The queue itself fills its volumes, with mail that is written twice because it is deferred: it is full before the volumes are, for what cannot be written could not be settled either.
import assert from 'node:assert/strict'
import { queuedRecipients } from '../../tools/relay-process.ts'
import { openSmtp, refusalIn, sendMail } from '../../tools/smtp-client.ts'
import { sleep, until } from '../../tools/until.ts'
import { startOnSmallVolumes } from '../small-volumes.ts'
import type { Story } from '../story.ts'

const megabytes = 256
const clients = 8
const pressSeconds = 20
const body = `${'x'.repeat(70)}\r\n`.repeat(600) // 42 KiB: travels with its record, and gets a place of its own when it is deferred

export const story: Story = {
  title: `Deferred mail fills 3 servers with volumes of ${megabytes} MB: 452 before a volume is full, and all of it is delivered when the next host is back`,
  needs: ['root', 'own network'],
  mostlyWaits: true,
  limitSeconds: 900,
  run: async (ctx) => {
    const { volumes, sink, fleet, domains, open } = await startOnSmallVolumes(ctx, { megabytes, domains: 30 })

    ctx.step(`mail until it is refused, and ${pressSeconds} s more: it is tried again and again meanwhile`)
    const accepted: string[] = []
    const refused = new Map<string, number>()
    let fullest = 0
    let pressedUntil = Infinity
    const fill = async (client: number): Promise<void> => {
      const line = await openSmtp(fleet.ports()[client % 2]!)
      await line.say('EHLO client.example')
      for (let n = 0; Date.now() < pressedUntil; n++) {
        const to = `r${client}-${n}@${domains[n % domains.length]}`
        const said = await sendMail(line, { from: 'joe@client.example', to: [to], data: `Subject: ${n}\r\n\r\n${body}` })
        fullest = Math.max(fullest, ...volumes.map((volume) => volume.used()))
        const refusal = refusalIn(said)
        if (!refusal) accepted.push(to)
        else {
          refused.set(refusal.text, (refused.get(refusal.text) ?? 0) + 1)
          pressedUntil = Math.min(pressedUntil, Date.now() + pressSeconds * 1000)
          await sleep(250)
        }
      }
      line.close()
    }
    await Promise.all(Array.from({ length: clients }, (_, client) => fill(client)))
    ctx.note('accepted', `${accepted.length} mails, ${((accepted.length * body.length) / 2 ** 20).toFixed(0)} MiB`)
    ctx.note('fullest volume', `${(100 * fullest).toFixed(0)} %`)
    for (const text of refused.keys()) assert.match(text, /^452 4\.3\.1 /)
    assert.ok(fullest > 0.4, 'the volumes are hardly used')
    assert.ok(fullest < 0.95, 'a volume was full, or nearly')

    ctx.step('the next host is back')
    open()
    await until('every mail at the next host', () => new Set(sink.recipients()).size === accepted.length, 240_000, 500)
    await until('an empty queue', async () => (await queuedRecipients(fleet.relays[0]!)).length === 0, 120_000, 500)
    assert.deepEqual(new Set(sink.recipients()), new Set(accepted))
  },
}
