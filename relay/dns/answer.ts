// What a name server's answer means: a closed set of four, so that "failed" can never be read as "does not exist".
export type RecordType = 'A' | 'AAAA' | 'MX' | 'CNAME' | 'TXT'
export type MxRecord = { readonly preference: number; readonly exchange: string } // '.' is the null MX (RFC 7505)

export type Answer<T> =
  | { readonly kind: 'records'; readonly records: readonly T[]; readonly ttl: number; readonly alias?: string } // alias: the name that its CNAMEs end at
  | { readonly kind: 'nodata'; readonly ttl: number }
  | { readonly kind: 'nxdomain'; readonly ttl: number }
  | { readonly kind: 'failed'; readonly why: string }

export type Resolver = {
  mx(name: string): Promise<Answer<MxRecord>>
  addresses(name: string, family: 4 | 6): Promise<Answer<string>>
  /** TXT records, the strings of each joined without anything between (RFC 7208 3.3, RFC 6376 3.6.2.2). */
  texts(name: string): Promise<Answer<string>>
  close(): void
}
