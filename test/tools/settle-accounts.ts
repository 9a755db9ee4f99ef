// How a story ends that did harm under load: everything that was answered with 250 has to be at the next host, and nothing may be left behind.
import assert from 'node:assert/strict'
import type { Ctx } from '../scenarios/story.ts'
import { joinLedger } from './ledger.ts'
import type { SendLog } from './load-client.ts'
import { queuedRecipients, type Relay } from './relay-process.ts'
import type { Sink } from './sink.ts'
import { until } from './until.ts'

/** What a relay that dies, or loses its lanes, may repeat: one round of settling. */
export const roundOfSettling = 50

/** Mails that were answered 451 and sent again: the queue may have stored them all the same. */
export const told451 = ({ trouble }: SendLog): number => [...trouble].reduce((sum, [text, times]) => sum + (text.startsWith('451') ? times : 0), 0)

export type Accounts = {
  readonly sent: SendLog
  readonly sink: Sink
  readonly relay: Relay
  /** Copies that may have come twice, and what explains them; absent: there is no bound. */
  readonly twice?: { readonly atMost: number; readonly because: string }
  readonly arriveMs?: number
  readonly emptyMs?: number
}

export const settleAccounts = async (ctx: Ctx, { sent, sink, relay, twice, arriveMs = 60_000, emptyMs = 60_000 }: Accounts): Promise<void> => {
  ctx.step('everything accepted arrives')
  const arrived = () => new Set(sink.recipients())
  await until('every mail at the next host', () => [...sent.accepted].every((one) => arrived().has(one)), arriveMs, 250)
  await until('an empty queue', async () => (await queuedRecipients(relay)).length === 0, emptyMs, 250)
  const ledger = joinLedger({ accepted: sent.accepted, arrived: sink.recipients() })
  ctx.note('mails accepted', ledger.accepted)
  ctx.note('duplicates', `${ledger.duplicates} (${twice ? `${twice.because}; ` : ''}sent again by clients that were told 451: ${told451(sent)}, that heard nothing: ${sent.unsure})`)
  ctx.note('what clients were told meanwhile', [...sent.trouble].map(([text, times]) => `${times} × ${text}`).join(' | ') || 'nothing but 250')
  assert.deepEqual(ledger.lost, [])
  if (twice) assert.ok(ledger.duplicates <= twice.atMost, `${ledger.duplicates} duplicates are more than what was in flight and one round of settling`)
  for (const text of sent.trouble.keys()) assert.match(text, /^4\d\d 4\.|^lost/, `a client was told something else than "try again": ${text}`)
  assert.equal(sent.refused.size, 0)
  assert.deepEqual(sink.faults, [])
}
