// The order in which objects come first: in which policies are asked, Allow rules add up, room is given and domains are held. Pure.
import { keyOf } from './input.ts'

/** The oldest first, then by name. */
export const byAge = <T extends { readonly metadata: { readonly namespace: string; readonly name: string; readonly creationTimestamp?: string | undefined } }>(objects: readonly T[]): T[] =>
  [...objects].sort((a, b) => compare(a.metadata.creationTimestamp ?? '9999', b.metadata.creationTimestamp ?? '9999') || compare(keyOf(a), keyOf(b)))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
