// Of an object that does not fit its kind, what is left without that: who it is and what it is for, so that it can stay as it was. Pure.
import type { AnyManifest } from '../../crds/index.ts'
import type { Mistake } from './mistakes.ts'
import { readObject } from './read-object.ts'

/** What is left may have mistakes of its own, such as a list that is empty by now. */
const mostRounds = 8

/** undefined: something without which nobody can say that is missing or wrong, such as the domain of a MailDomain. */
export const restOf = (value: object, mistakes: readonly Mistake[]): AnyManifest | undefined => {
  let rest = value
  let wrong = mistakes
  for (let round = 0; round < mostRounds; round++) {
    if (wrong.some(({ path: [first, ...inner] }) => first !== 'spec' || inner.length === 0)) return undefined
    rest = without(rest, wrong.map(({ path }) => path)) as object
    const read = readObject(rest)
    if (read.kind !== 'mistaken') return read.kind === 'manifest' ? read.manifest : undefined
    wrong = read.mistakes
  }
  return undefined
}

const without = (value: unknown, paths: readonly (readonly PropertyKey[])[]): unknown => {
  if (value === null || typeof value !== 'object') return value
  const below = Map.groupBy(paths, ([first]) => String(first))
  const kept = Object.entries(value).flatMap(([key, inner]) => {
    const wrong = (below.get(key) ?? []).map((path) => path.slice(1))
    return wrong.some(({ length }) => length === 0) ? [] : [[key, without(inner, wrong)] as const]
  })
  return Array.isArray(value) ? kept.map(([, inner]) => inner) : Object.fromEntries(kept)
}
