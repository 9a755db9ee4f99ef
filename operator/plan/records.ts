// The DNS records that a MailDomain needs. What DNS says now is looked up elsewhere. Pure.
import type { MailDomain } from '../../crds/index.ts'
import { normalDomain } from '../../relay/snapshot/index.ts'

export type DnsRecord = { readonly type: 'MX' | 'TXT'; readonly name: string; readonly value: string }

/** `publicPart`: base64 of the public key. */
export const dkimRecord = (domain: string, selector: string, publicPart: string, algorithm: 'ed25519' | 'rsa'): DnsRecord => ({
  type: 'TXT',
  name: `${selector}._domainkey.${domain}`,
  value: `v=DKIM1; k=${algorithm}; p=${publicPart}`,
})

type Known = {
  /** Greeting names of the MailRelays it attaches to. */
  readonly hostnames: readonly string[]
  readonly dkim: readonly { readonly selector: string; readonly algorithm: 'ed25519' | 'rsa'; readonly publicPart: string }[]
}

/** MX where mail is accepted; SPF, DKIM and DMARC for what is sent. A policy of nobody's asking is the mildest. */
export const requiredRecords = ({ spec }: MailDomain, { hostnames, dkim }: Known): DnsRecord[] => {
  const domain = normalDomain(spec.domain) ?? spec.domain
  const mx = spec.inbound === undefined ? [] : hostnames.map((host) => ({ type: 'MX', name: domain, value: `10 ${host}.` }) as const)
  return [
    ...mx,
    { type: 'TXT', name: domain, value: ['v=spf1', ...hostnames.map((host) => `a:${host}`), '~all'].join(' ') }, // RFC 7208
    ...dkim.map(({ selector, algorithm, publicPart }) => dkimRecord(domain, selector, publicPart, algorithm)),
    { type: 'TXT', name: `_dmarc.${domain}`, value: 'v=DMARC1; p=none' }, // RFC 7489 6.3
  ]
}
