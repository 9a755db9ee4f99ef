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

/** `inFlight`: deliveries whose end may not have been noted, when and where; then there is a bound for copies that came twice, with so many `rounds` of settling. */
export const settleAccounts = async (ctx: Ctx, given: { readonly sent: SendLog; readonly sink: Sink; readonly relay: Relay; readonly inFlight?: { readonly count: number; readonly when: string; readonly rounds: number } }): Promise<void> => {
  const { sent, sink, relay, inFlight } = given
  ctx.step('everything accepted arrives')
  const arrived = () => new Set(sink.recipients())
  await until('every mail at the next host', () => [...sent.accepted].every((one) => arrived().has(one)), 180_000, 250)
  await until('an empty queue', async () => (await queuedRecipients(relay)).length === 0, 120_000, 250)
  const ledger = joinLedger({ accepted: sent.accepted, arrived: sink.recipients() })
  const again = sent.unsure + [...sent.trouble].reduce((sum, [text, times]) => sum + (text.startsWith('451') ? times : 0), 0)
  ctx.note('mails accepted', ledger.accepted)
  ctx.note('duplicates', `${ledger.duplicates} (${inFlight ? `in flight ${inFlight.when}: ${inFlight.count}; ` : ''}sent again by clients that were told 451 or heard nothing: ${again})`)
  ctx.note('what clients were told meanwhile', [...sent.trouble].map(([text, times]) => `${times} × ${text}`).join(' | ') || 'nothing but 250')
  assert.deepEqual(ledger.lost, [])
  if (inFlight) assert.ok(ledger.duplicates <= again + inFlight.count + inFlight.rounds * roundOfSettling, `${ledger.duplicates} duplicates are more than what was in flight and one round of settling`)
  for (const text of sent.trouble.keys()) assert.match(text, /^4\d\d 4\.|^lost/, `a client was told something else than "try again": ${text}`)
  assert.equal(sent.refused.size, 0)
  assert.deepEqual(sink.faults, [])
}
