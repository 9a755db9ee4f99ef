// Patterns of manifests against mailboxes and domains (design: `*`, `*@domain`, `*.domain`, `local@domain`). Pure.
import type { Mailbox } from './mailbox.ts'

/** `*.example.org`: one or more labels before it, not the domain itself. */
const isBelow = (domain: string, suffix: string): boolean => domain.endsWith(suffix) && domain.length > suffix.length

/** Domain pattern: `*`, `domain`, `*.domain`. */
export const matchesDomain = (pattern: string, domain: string): boolean =>
  pattern === '*' || pattern === domain || (pattern.startsWith('*.') && isBelow(domain, pattern.slice(1)))

/** Whether a mailbox pattern is for more than one domain. */
export const isWide = (pattern: string): boolean => pattern.slice(pattern.lastIndexOf('@') + 1).startsWith('*')

/** Mailbox pattern; local parts exactly, postmaster in any case (RFC 5321 4.5.1). */
export const matchesMailbox = (pattern: string, { local, domain }: Mailbox): boolean => {
  const at = pattern.lastIndexOf('@')
  if (at < 0) return pattern === '*' || (pattern.startsWith('*.') && matchesDomain(pattern, domain))
  const wanted = pattern.slice(0, at)
  return matchesDomain(pattern.slice(at + 1), domain) && (wanted === '*' || sameLocal(wanted, local))
}

const sameLocal = (a: string, b: string): boolean =>
  a === b || (a.toLowerCase() === 'postmaster' && b.toLowerCase() === 'postmaster')
