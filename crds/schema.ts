// Builds a field of a kind: its description (the manual), and rules that hold both as CEL in the API server and as TypeScript here. Pure.
import { z } from 'zod'

/** What one object can prove about itself. `holds` is the same test for files; absent where only a change can break it, or where the plan refuses the same with more to say. */
export type Rule<T> = {
  readonly cel: string
  readonly message: string
  readonly holds?: (value: T) => boolean
  readonly at?: readonly (string | number)[] // the member to point at
  readonly reads?: readonly string[] // the members it looks into: it is judged beside mistakes in all others. Absent: only where nothing is wrong
}

type Issue = { readonly path?: readonly PropertyKey[] | undefined; readonly continue?: boolean | undefined }

/** Whether what is wrong already leaves sound what a rule looks into, so that it tells of a mistake of its own. */
const isSound = (issues: readonly Issue[], reads?: readonly string[]): boolean =>
  issues.every(({ path: [first] = [], continue: goesOn }) => goesOn === true || (reads !== undefined && first !== undefined && !reads.includes(String(first))))

/** A schema with its description and its rules. */
export const proven = <T extends z.ZodType>(schema: T, description: string, rules: readonly Rule<z.output<T>>[], extra: object = {}): T => {
  const checked = rules.reduce((inner, { holds, message, at, reads }) => (holds ? inner.refine(holds, { message, path: [...(at ?? [])], when: ({ issues }) => isSound(issues, reads) }) : inner), schema)
  return checked.meta({ description, ...extra, 'x-kubernetes-validations': rules.map(({ cel, message }) => ({ rule: cel, message })) })
}

export const exactlyOneOf = <K extends string>(...members: readonly K[]): Rule<{ [key in K]?: unknown }> => ({
  cel: `[${members.map((member) => `has(self.${member})`).join(', ')}].filter(x, x).size() == 1`,
  message: `exactly one of ${members.join(', ')} must be set`,
  holds: (value) => members.filter((member) => value[member] !== undefined).length === 1,
  reads: [], // a member that is wrong is there all the same
})

export const immutable: Rule<unknown> = { cel: 'self == oldSelf', message: 'cannot be changed; make a new object' }

/** A list whose order matters, replaced as a whole. */
export const ordered = <T extends z.ZodType>(item: T, max: number, description: string): z.ZodArray<T> =>
  z.array(item).max(max).meta({ description, 'x-kubernetes-list-type': 'atomic' })

/** A list keyed by one member. */
export const keyed = <T extends z.ZodType>(item: T, key: string, max: number, description: string, rules: readonly Rule<z.output<T>[]>[] = []): z.ZodArray<T> => {
  const unique = z.array(item).max(max).superRefine((list, context) => {
    const seen = new Set<unknown>()
    for (const [index, entry] of list.entries()) {
      const value = (entry as Record<string, unknown> | null | undefined)?.[key] // whatever else is wrong in the list
      if (typeof value === 'string' && seen.has(value)) context.addIssue({ code: 'custom', path: [index, key], message: `${key} ${JSON.stringify(value)} stands in this list twice` })
      seen.add(value)
    }
  }, { when: ({ value }) => Array.isArray(value) })
  return proven(unique, description, rules, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] })
}

/** What Kubernetes itself checks: taken as it is. */
export const opaque = (description: string) =>
  z.looseObject({}).meta({ description, 'x-kubernetes-preserve-unknown-fields': true })
