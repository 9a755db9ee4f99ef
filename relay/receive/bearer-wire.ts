// How XOAUTH2 and OAUTHBEARER spell a bearer token, and a refusal of it. Pure.

/** The token in what the client sent; undefined where it is not of this mechanism's form. The user name beside it proves nothing. */
export const bearerIn = (mechanism: 'XOAUTH2' | 'OAUTHBEARER', text: string): string | undefined => {
  const [head = '', ...fields] = text.split('\x01')
  if (fields.length < 3 || fields.at(-1) !== '' || fields.at(-2) !== '' || !heads[mechanism].test(head)) return undefined
  const found = fields.flatMap((field) => /^auth=bearer +([\w.~+/=-]+)$/i.exec(field)?.[1] ?? []) // the scheme in any case (RFC 7235 2.1)
  return found.length === 1 ? found[0] : undefined
}

const heads = {
  XOAUTH2: /^user=[^\0]*$/,
  OAUTHBEARER: /^[ny],(a=[^,\0]*)?,$/, // the GS2 header, without channel binding (RFC 7628 3.1)
} as const

/** For machines: that this token is none. Why, is in the reply that follows. */
export const refusalOf = (mechanism: 'XOAUTH2' | 'OAUTHBEARER'): string => JSON.stringify(mechanism === 'XOAUTH2' ? { status: '401', schemes: 'bearer' } : { status: 'invalid_token' }) // RFC 7628 3.2.2
