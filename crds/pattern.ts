// Patterns of manifests over addresses and domains: what may be written, and which pattern lies within which. Pure.
// Domain names here may hold letters of any script; the plan turns them into A-labels before anything is compared.
import { z } from 'zod'

const label = '[\\p{L}\\p{N}_]([\\p{L}\\p{M}\\p{N}_-]{0,61}[\\p{L}\\p{M}\\p{N}_])?'
const name = `${label}(\\.${label})*`
const atom = "[^\\s@<>()\\[\\],;:\\\\\"*]+" // a local part as people write it; quoted ones are not for manifests

const domainForm = new RegExp(`^${name}$`, 'u')
export const domainPatternForm = new RegExp(`^(\\*|(\\*\\.)?${name})$`, 'u')
export const addressPatternForm = new RegExp(`^(\\*|\\*\\.${name}|(\\*|${atom})@${name})$`, 'u')
const addressOrNullForm = new RegExp(`^(<>|\\*|\\*\\.${name}|(\\*|${atom})@${name})$`, 'u')
export const addressForm = new RegExp(`^${atom}@${name}$`, 'u')

export const domainName = (description: string): z.ZodString =>
  z.string().min(1).max(253).regex(domainForm, 'a domain name such as example.org').describe(description)

export const domainPattern = (description: string): z.ZodString =>
  z.string().min(1).max(255).regex(domainPatternForm, 'a domain pattern: *, example.org or *.example.org').describe(description)

export const addressPattern = z.string().min(1).max(320).regex(addressPatternForm, 'an address pattern: *, *@example.org, *.example.org or name@example.org').describe('An address pattern.')

/** An address pattern taken apart: which local parts at which domains. */
export type PatternParts = { readonly local: string; readonly domain: string }

/** `*` is any local part anywhere, `*.x` any local part below x. */
export const partsOf = (pattern: string): PatternParts => {
  const at = pattern.lastIndexOf('@')
  return at < 0 ? { local: '*', domain: pattern } : { local: pattern.slice(0, at), domain: pattern.slice(at + 1) }
}

/** True where every domain of `inner` (`*`, `x`, `*.x`) is one of `outer`. */
export const coversDomain = (outer: string, inner: string): boolean => {
  if (outer === '*' || outer === inner) return true
  if (inner === '*' || !outer.startsWith('*.')) return false
  const bare = inner.startsWith('*.') ? inner.slice(2) : inner
  return bare.endsWith(outer.slice(1)) && bare.length > outer.length - 1
}

/** True where every address of `inner` is one of `outer`. */
export const coversAddress = (outer: string, inner: string): boolean => {
  const [wide, narrow] = [partsOf(outer), partsOf(inner)]
  const localFits = wide.local === '*' || wide.local === narrow.local || (isPostmaster(wide.local) && isPostmaster(narrow.local))
  return localFits && coversDomain(wide.domain, narrow.domain)
}

const isPostmaster = (local: string): boolean => local.toLowerCase() === 'postmaster' // RFC 5321 4.5.1

/** As addressPattern, and `<>` for the null sender. */
export const addressOrNullPattern = (description: string): z.ZodString =>
  z.string().min(1).max(320).regex(addressOrNullForm, 'an address pattern: *, *@example.org, *.example.org, name@example.org or <>').describe(description)
