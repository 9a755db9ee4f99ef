// Many deferred deliveries in the queue: how long a relay takes to start on them, and to answer what waits, by domain.
import { join } from 'node:path'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { openSmtp, sendMail } from '../tools/smtp-client.ts'
import { startTestNats } from '../tools/nats.ts'
import { copyManifests, startFleet, type Relay } from '../tools/relay-process.ts'
import { until } from '../tools/until.ts'
import type { DomainSummary } from '../../relay/queue/index.ts'

export type Deferred = {
  readonly deliveries: number
  readonly secondsToDefer: number
  readonly startSeconds: number
  readonly summarySeconds: number
  readonly summaryCommandSeconds: number
  readonly relayPeakMiB: number
  readonly acceptPerSecond: number
}

const domainsPerMail = 100
const domainsInAll = 1000

export const manyDeferred = async (folder: string, deliveries: number): Promise<Deferred> => {
  const nats = await startTestNats(1)
  // nobody listens there: every first attempt is refused at once and waits an hour
  const manifests = copyManifests(join(import.meta.dirname, 'manifests'), join(folder, 'deferred-manifests'), { 2626: await freePort() })
  const fleet = await startFleet({ folder: join(folder, 'deferred'), manifests, nats, count: 1, listeners: ['mx'] })
  try {
    const began = performance.now()
    await Promise.all([0, 1, 2, 3].map((client) => fill(fleet.ports()[0]!, deliveries / domainsPerMail / 4, client)))
    await until(`${deliveries} deferred`, async () => (await counted(fleet.relays[0]!)) >= deliveries, 300_000, 500)
    const secondsToDefer = (performance.now() - began) / 1000
    await fleet.relays[0]!.stop()
    const restarted = performance.now()
    const relay = await fleet.restart(0)
    const startSeconds = (performance.now() - restarted) / 1000
    const asked = performance.now()
    await relay.ask('summary')
    const answered = performance.now()
    await relay.posthouse('queue', 'summary', '--json')
    const printed = performance.now()
    const acceptPerSecond = await acceptBeside(fleet.ports()[0]!)
    return { deliveries, secondsToDefer, startSeconds, summarySeconds: (answered - asked) / 1000, summaryCommandSeconds: (printed - answered) / 1000, relayPeakMiB: Math.round(relay.peakMemory()), acceptPerSecond }
  } finally {
    await fleet.stop()
    await nats.stop()
  }
}

const fill = async (port: number, mails: number, client: number): Promise<void> => {
  const smtp = await openSmtp(port)
  await smtp.say('EHLO load.example')
  for (let n = 0; n < mails; n++) {
    const first = ((client * mails + n) * domainsPerMail) % domainsInAll
    const to = Array.from({ length: domainsPerMail }, (_, index) => `r${client}-${n}@d${first + index}.example`)
    const { data } = await sendMail(smtp, { from: 'sender@load.example', to, data: 'Subject: waits\r\n\r\nbody\r\n' })
    if (data?.code !== 250) throw new Error(`not taken: ${data?.text ?? 'no DATA'}`)
  }
  smtp.close()
}

const counted = async (relay: Relay): Promise<number> => (await relay.ask<DomainSummary[]>('summary')).reduce((sum, { deferred }) => sum + deferred, 0)

/** Fresh mail beside all that waits, one client. */
const acceptBeside = async (port: number): Promise<number> => {
  const smtp = await openSmtp(port)
  await smtp.say('EHLO load.example')
  const began = performance.now()
  for (let n = 0; n < 200; n++) await sendMail(smtp, { from: 'sender@load.example', to: [`fresh${n}@fresh.example`], data: 'Subject: fresh\r\n\r\nbody\r\n' })
  smtp.close()
  return Math.round(200_000 / (performance.now() - began))
}
