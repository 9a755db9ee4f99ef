// Reads JetStream's answer to a write: one table, one function. Only a proof counts as stored. Pure.
import type { RawAnswer } from './stream.ts'

export type Meaning =
  | { readonly kind: 'stored'; readonly lastSeq?: number } // without a sequence: stored by an earlier asking
  | { readonly kind: 'fenced' } // another pod has the lane, or the record is there already and is not ours
  | { readonly kind: 'stored-or-fenced' } // both expectations were in the batch: look whether our note is there
  | { readonly kind: 'unknown'; readonly why: string } // ask again, with a fresh batch id

/** What was expected of the write: our own record absent (a repetition finds it), a fence, or both. */
export type Expected = { readonly ownAbsent: boolean; readonly fence: boolean }

const wrongLastSequence = 10071
const duplicateInBatch = 10201

/** The write was not even tried: something else is there than was expected. */
export const isExpectation = (code: number): boolean => code === wrongLastSequence || code === duplicateInBatch

export const readAnswer = (answer: RawAnswer, expected: Expected): Meaning => {
  if (answer.kind === 'ack') return answer.duplicate ? { kind: 'stored' } : { kind: 'stored', lastSeq: answer.seq }
  if (answer.kind === 'silence') return { kind: 'unknown', why: answer.text }
  if (answer.code === duplicateInBatch) return { kind: 'stored' }
  if (answer.code === wrongLastSequence) return conflict(answer.text, expected)
  // 10164, 10158, 10176, 10023, 503, 429, `jetstream is not enabled` and whatever comes with a later release
  return { kind: 'unknown', why: `${answer.code} ${answer.text}` }
}

const conflict = (text: string, { ownAbsent, fence }: Expected): Meaning => {
  const last = Number(/(\d+)\s*$/.exec(text)?.[1] ?? 'NaN') // the code says nothing of it: the number stands only in the text
  if (fence && ownAbsent) return { kind: 'stored-or-fenced' }
  if (fence) return { kind: 'fenced' }
  if (ownAbsent && last > 0) return { kind: 'stored' }
  return { kind: 'unknown', why: text }
}
