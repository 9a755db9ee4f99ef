// What waits while batches are on their way, and how much of it the next batch takes. Pure.
import { batchBytes, batchRecords } from './context.ts'

export type Sized = { readonly records: number; readonly bytes: number }

/** As many from the front as one batch holds, at least one. */
export const nextBatch = <T extends Sized>(waiting: readonly T[], most = { records: batchRecords, bytes: batchBytes }): number => {
  let records = 0
  let bytes = 0
  for (let count = 0; count < waiting.length; count++) {
    records += waiting[count]!.records
    bytes += waiting[count]!.bytes
    if (count > 0 && (records > most.records || bytes > most.bytes)) return count
  }
  return waiting.length
}

/** What shares nothing needs no atomic batch: up to so many lanes go each as a write of its own, which costs the servers less than staging a batch. */
const mostApart = 4
export const apart = <T extends { readonly deliveries: readonly { readonly lane: number }[]; readonly body?: unknown }>(offers: readonly T[]): readonly (readonly T[])[] => {
  const byLane = Map.groupBy(offers, ({ deliveries, body }) => (deliveries.length > 1 || body !== undefined ? undefined : deliveries[0]!.lane))
  return byLane.has(undefined) || byLane.size > mostApart ? [offers] : [...byLane.values()]
}

/** Alone goes at once; a second batch only when it carries enough to be worth a sync of its own. */
export const mayFly = (inFlight: number, waiting: number): boolean => waiting > 0 && (inFlight === 0 || (inFlight === 1 && waiting >= secondFlightFrom))
const secondFlightFrom = 60
