// One delivery in the hands of its lane's owner, whatever record it was read from. Plain data.
import type { Tenure } from './own.ts'
import type { DeliveryHead, Sizes } from './record.ts'
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
