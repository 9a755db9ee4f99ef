// Domain names and patterns of manifests in the form that the snapshot compares: lower-case A-labels. Pure.
import { normalDomain } from '../../relay/snapshot/index.ts'

/** `*`, `x`, `*.x`, `*@x`, `local@x`, `<>` in normal form; undefined where the domain is none. */
export const normalPattern = (pattern: string): string | undefined => {
  if (pattern === '*' || pattern === '<>') return pattern
  const at = pattern.lastIndexOf('@')
  if (at >= 0) return joined(pattern.slice(0, at + 1), pattern.slice(at + 1))
  return pattern.startsWith('*.') ? joined('*.', pattern.slice(2)) : normalDomain(pattern)
}

/** The Secret with what a client of this MailSender needs. */
export const credentialSecretOf = (sender: string): string => `${sender}-smtp`

const joined = (head: string, domain: string): string | undefined => {
  const normal = normalDomain(domain)
  return normal === undefined ? undefined : head + normal
}

/** Of patterns that a check has already found sound. */
export const normalPatterns = (patterns: readonly string[] | undefined): string[] => (patterns ?? []).flatMap((pattern) => normalPattern(pattern) ?? [])

/** Those that are no names. */
export const brokenNames = (patterns: readonly string[] | undefined): string[] => (patterns ?? []).filter((pattern) => normalPattern(pattern) === undefined)
