// The order in which objects come first: in which policies are asked, Allow rules add up, room is given and domains are held. Pure.
import { keyOf } from './input.ts'

type Aged = { readonly metadata: { readonly namespace: string; readonly name: string; readonly creationTimestamp?: string | undefined } }

/** What is in no cluster yet is younger than all that is. */
export const createdAt = ({ metadata }: Aged): string => metadata.creationTimestamp ?? '9999-12-31T23:59:59Z'

/** The oldest first, then by name. */
export const byAge = <T extends Aged>(objects: readonly T[]): T[] => [...objects].sort((a, b) => compare(createdAt(a), createdAt(b)) || compare(keyOf(a), keyOf(b)))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
