// A DNS record as it stands in a zone. Pure.

export type DnsRecord = { readonly type: 'MX' | 'TXT'; readonly name: string; readonly value: string }

/** `publicPart`: base64 of the public key. */
export const dkimRecord = (domain: string, selector: string, publicPart: string, algorithm: 'ed25519' | 'rsa'): DnsRecord => ({
  type: 'TXT',
  name: `${selector}._domainkey.${domain}`,
  value: `v=DKIM1; k=${algorithm}; p=${publicPart}`,
})

/** The line to paste into a zone; a TXT record's strings have at most 255 bytes each (RFC 1035 3.3.14). */
export const zoneLine = ({ type, name, value }: DnsRecord): string => `${name}. IN ${type} ${type === 'TXT' ? quoted(value) : value}`

const quoted = (value: string): string => (value.match(/.{1,255}/g) ?? []).map((part) => `"${part}"`).join(' ')
