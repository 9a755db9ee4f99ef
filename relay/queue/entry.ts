// One delivery in the hands of its lane's owner, whatever record it was read from. Pure.
import { laneOf } from './lanes.ts'
import type { Tenure } from './own.ts'
import { decodeDelivery } from './record-wire.ts'
import { asDelivery, type DeliveryHead, type Sizes } from './record.ts'
import type { StoredRecord } from './stream.ts'
import type { Delivery, Settlement } from './types.ts'

export type Entry = {
  readonly tenure: Tenure
  readonly subject: string // the record it came from: ready, later or held
  readonly seq: number
  readonly at: number // the record's time
  readonly sizes: Sizes
  readonly head: DeliveryHead
  readonly inline: Buffer | undefined
  readonly delivery: Delivery
}

/** What a schedule may put there all the same until then; `gone` comes true when it was removed in good time, and fires no more. */
export type InAdvance = { readonly subject: string; readonly until: number; readonly gone?: Promise<boolean> }

/** What an attempt or a person made of an entry, ready to be composed. */
export type Settled = {
  readonly entry: Entry
  readonly settlement: Settlement
  readonly original?: { readonly bytes: Buffer; readonly whole: boolean } // needed where there are notices
  readonly inAdvance?: InAdvance
}

export const entryOf = (tenure: Tenure, record: StoredRecord): Entry => {
  const { sizes, head, inline } = decodeDelivery(record.payload)
  return { tenure, subject: record.subject, seq: record.seq, at: record.at, sizes, head, inline: head.body ? undefined : inline, delivery: asDelivery(head, record.at, tenure.lane) }
}

/** The lane that serves its site, where that is another than the one it lies in: once in its life, or two that know different MX hosts would play ball. */
export const homeOf = ({ head, tenure }: Entry, site: string): number | undefined => {
  const home = laneOf(site)
  return head.movedHome === true || home === tenure.lane ? undefined : home
}
