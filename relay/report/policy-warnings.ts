// The counter of what policies in Warn mode would have done. Its labels are names that tenants choose, and may change as often as they like:
// what is in force no more is forgotten, and past a number the rest is counted together. A metrics page must not grow by them.
import type { Counter } from 'prom-client'

export type WarnedBy = { readonly policy: string; readonly rule: string }
export type PolicyWarnings = {
  inc(by: WarnedBy): void
  /** Only these are still there. */
  keep(policies: readonly { readonly manifest: string; readonly rules: readonly { readonly name: string }[] }[]): void
}

const most = 1_000
const others: WarnedBy = { policy: 'others', rule: 'others' }

export const boundedWarnings = (counter: Counter<'policy' | 'rule'>): PolicyWarnings => {
  const known = new Map<string, WarnedBy>()
  return {
    inc: (by) => {
      const key = keyOf(by)
      if (!known.has(key) && known.size < most) known.set(key, by)
      counter.inc({ ...(known.get(key) ?? others) })
    },
    keep: (policies) => {
      const there = new Set(policies.flatMap(({ manifest, rules }) => [{ name: 'limits' }, ...rules].map(({ name }) => keyOf({ policy: manifest, rule: name }))))
      for (const [key, by] of known) {
        if (there.has(key)) continue
        known.delete(key)
        counter.remove({ ...by })
      }
    },
  }
}

const keyOf = ({ policy, rule }: WarnedBy): string => `${policy} ${rule}`
