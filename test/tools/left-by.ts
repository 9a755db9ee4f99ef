// For left-behind.test.ts: the records that a process of a release leaves in the stream when it dies. Run in a checkout of that release, it prints them:
//   node test/tools/left-by.ts > test/left-by/COMMIT.json
import { ChunkedWriter } from '../../relay/queue/body-writer.ts'
import { aMessage, deferred, delivered, deliverer, simulated } from '../../relay/queue/fixtures.ts'
import { createRoom } from '../../relay/queue/room.ts'

export type LeftRecord = { readonly subject: string; readonly payload: string /* base64 */; readonly schedule?: { readonly at: number; readonly target: string } }

const inlineBytes = 500 // a small file
const never = new Promise<never>(() => {})
const outcomes = { 'done.example': () => delivered, 'later.example': (delivery: Parameters<typeof deferred>[0], now: number) => deferred(delivery, now + 60_000) } as const

export const leaveBehind = async (): Promise<LeftRecord[]> => {
  const { clock, stream, context, accept, stop } = await simulated({
    limits: { inlineBytes },
    deliverer: (time) => deliverer((delivery) => outcomes[delivery.domain as keyof typeof outcomes]?.(delivery, time.now()) ?? never),
  })
  await clock.pass(30_000)
  const writer = new ChunkedWriter(context, { room: createRoom(9e6, clock), volumeTakesMore: () => true }, 'chunked')
  void writer.write(Buffer.alloc(3 * inlineBytes, 'x'))
  await clock.pass(1_000)
  const chunked = writer.end()
  await clock.pass(1_000)
  accept({ ...aMessage({ id: 'chunked', domains: ['later.example', 'flight.example'] }), body: await chunked })
  accept(aMessage({ id: 'deferred', domains: ['later.example'], sender: 'mail/app', class: 'bulk' }))
  accept(aMessage({ id: 'held', domains: ['held.example'], hold: 'RelayPolicy mail/rules' }))
  accept(aMessage({ id: 'noted', domains: ['done.example', 'flight.example'] })) // one of its groups has a note, the other is under way
  await clock.pass(1_000)
  const left = stream.all() as unknown as readonly ({ readonly subject: string; readonly payload: Buffer } & Pick<LeftRecord, 'schedule'>)[]
  stop()
  return left.filter(({ subject }) => !subject.includes('.own.')).map(({ subject, payload, schedule }) => ({ subject, payload: payload.toString('base64'), ...(schedule && { schedule }) })) // leases are over when another comes
}

if (import.meta.main) console.log(`[\n${(await leaveBehind()).map((record) => JSON.stringify(record)).join(',\n')}\n]`)
