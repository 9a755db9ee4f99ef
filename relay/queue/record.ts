// A delivery as a record holds it, apart from its spelling (record-wire.ts). Pure data.
import type { Delivery, Envelope, LastTry, Recipient } from './types.ts'
import type { Schedule } from '../snapshot/index.ts'
import { recordOf } from './subjects.ts'

/** Where a body lies when it does not travel with the record: `body.<id>.0` (headers and first bytes), then chunks 1 to `chunks`.
 *  `sha256`: of its bytes from `hashedFrom` on; where that is absent (records of older releases) nothing is compared.
 *  `shared`: how many deliveries must end before it goes; a part of one that was split counts as a fraction. */
export type BodyPointer = { readonly id: string; readonly chunks: number; readonly bytes: number; readonly sha256: string; readonly hashedFrom?: number; readonly shared: number }

export type DeliveryHead = {
  readonly message: string
  readonly n: string // number of the delivery; a letter more for each time it was split
  readonly envelope: Envelope
  readonly domain: string
  readonly recipients: readonly Recipient[]
  readonly schedule: Schedule
  readonly attempt: number
  readonly turn: number // how often a record was written for it: no subject is ever written twice
  readonly arrivedAt?: number // absent on the first: the record's own time
  readonly bytes: number
  readonly delayNoticed: boolean
  readonly movedHome?: true // into the lane of its site: never again
  readonly last?: LastTry
  readonly body?: BodyPointer // absent: the bytes follow
  readonly nextAt?: number // in a later record
  readonly why?: string // in a held record
}

/** How many ready records the group has, and how many the whole accept batch, all lanes together. */
export type Sizes = { readonly group: number; readonly batch: number }

export type DeliveryRecord = { readonly sizes: Sizes; readonly head: DeliveryHead; readonly inline: Buffer }

/** Chunk 0 of a body: how many deliveries share it, and the first bytes (headers we added in front). */
export type BodyStart = { readonly pointer: BodyPointer; readonly first: Buffer }

export const asDelivery = (head: DeliveryHead, recordAt: number, lane: number): Delivery => ({
  id: `${head.message}.${head.n}`,
  message: head.message,
  envelope: head.envelope,
  domain: head.domain,
  recipients: head.recipients,
  schedule: head.schedule,
  attempt: head.attempt,
  arrivedAt: head.arrivedAt ?? recordAt,
  bytes: head.bytes,
  delayNoticed: head.delayNoticed,
  lane,
  ...(head.last && { last: head.last }),
})

const unreadable = 'unreadable'

/** Stands for a record that could not be understood, so that a person sees it: no recipients, its size, and the reason. */
export const unreadableHead = ({ subject, seq, at, payload }: { readonly subject: string; readonly seq: number; readonly at: number; readonly payload: Buffer }, why: string): DeliveryHead => ({
  message: `${unreadable}${seq}`, n: String(recordOf(subject).place), domain: '', recipients: [], attempt: 0, turn: 0, bytes: payload.length, delayNoticed: false, arrivedAt: at, why,
  envelope: { mailFrom: null, body: '8BITMIME', smtputf8: false, source: 'local', listener: '', class: 'bulk', because: 'a record that could not be understood' },
  schedule: { name: 'none', manifest: 'none', attempts: [3_600], giveUpAfter: 86_400, overrides: [] },
})
export const isUnreadable = (id: string): boolean => id.startsWith(unreadable)
/** What could be read has somebody to go to. */
export const isUnderstood = ({ recipients }: { readonly recipients: readonly unknown[] }): boolean => recipients.length > 0
