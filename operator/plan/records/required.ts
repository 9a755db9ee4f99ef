// The DNS records that a MailDomain needs. What DNS says now is looked up elsewhere. Pure.
// MTA-STS and TLS-RPT are not among them: this release does neither.
import type { MailDomain } from '../../../crds/index.ts'
import { normalDomain } from '../../../relay/snapshot/index.ts'
import { dkimRecord, type DnsRecord } from './record.ts'

export type RequiredRecord = DnsRecord & {
  readonly purpose: 'MX' | 'SPF' | 'DKIM' | 'DMARC'
  /** Relays that the record is about: one of an MX record, all of an SPF record. */
  readonly hosts: readonly string[]
}

type Known = {
  /** Greeting names of the MailRelays it attaches to. */
  readonly hostnames: readonly string[]
  readonly dkim: readonly { readonly selector: string; readonly algorithm: 'ed25519' | 'rsa'; readonly publicPart: string }[]
}

/** MX where mail is accepted; SPF, DKIM and DMARC for what is sent. A policy of nobody's asking is the mildest. */
export const requiredRecords = ({ spec }: Pick<MailDomain, 'spec'>, { hostnames, dkim }: Known): RequiredRecord[] => {
  const domain = normalDomain(spec.domain) ?? spec.domain
  const mx = spec.inbound === undefined ? [] : hostnames.map((host) => ({ purpose: 'MX', hosts: [host], type: 'MX', name: domain, value: `10 ${host}.` }) as const)
  return [
    ...mx,
    { purpose: 'SPF', hosts: hostnames, type: 'TXT', name: domain, value: ['v=spf1', ...hostnames.map((host) => `a:${host}`), '~all'].join(' ') }, // RFC 7208
    ...dkim.map(({ selector, algorithm, publicPart }) => ({ purpose: 'DKIM', hosts: [], ...dkimRecord(domain, selector, publicPart, algorithm) }) as const),
    { purpose: 'DMARC', hosts: [], type: 'TXT', name: `_dmarc.${domain}`, value: 'v=DMARC1; p=none' }, // RFC 7489 6.3
  ]
}
