// What is made once and kept: a CA, certificates, credentials of MailSenders. Each goes from what is kept to what is to be kept. Touches nothing.
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { urlHost } from '../../relay/snapshot/index.ts'
import { pairFault, type Data, type MadeCredential, type Need } from '../plan/index.ts'
import { certificateFor, isFresh, newAuthority, type Authority, type KeyPair } from './certificates.ts'

type KeptAuthority = Data & { readonly 'ca.crt': string; readonly 'ca.key': string }

/** What a CA signs lives a year; its successor is trusted for a day by all before it signs, and it is trusted itself for as long as it lives. */
const successorDays = 400
const knownMs = 86_400_000

/** A new CA where there is none; a successor (`next.crt`) in time, which takes over a day later. `previous.crt` signs no more. */
export const authorityFrom = (kept: Data, now: Date): KeptAuthority => {
  const { 'ca.crt': certificate, 'ca.key': key, 'next.crt': next, 'next.key': nextKey, 'previous.crt': previous } = kept
  if (certificate === undefined || key === undefined || !isFresh(certificate, now, 0) || pairFault(certificate, key) !== undefined) return authorityOf(newAuthority(now))
  const current = { certificate, key }
  const before = previous !== undefined && isFresh(previous, now, 0) ? { 'previous.crt': previous } : {}
  if (isFresh(certificate, now, successorDays)) return { ...authorityOf(current), ...before }
  const successor = next !== undefined && nextKey !== undefined && pairFault(next, nextKey) === undefined ? { certificate: next, key: nextKey } : newAuthority(now)
  if (now.getTime() - madeAt(successor) < knownMs) return { ...authorityOf(current), ...before, 'next.crt': successor.certificate, 'next.key': successor.key }
  return { ...authorityOf(successor), 'previous.crt': certificate }
}

const authorityOf = ({ certificate, key }: KeyPair): KeptAuthority => ({ 'ca.key': key, 'ca.crt': certificate })
const madeAt = ({ certificate }: KeyPair): number => new X509Certificate(certificate).validFromDate.getTime() + 3_600_000

export const authorityIn = (data: KeptAuthority): Authority => ({ certificate: data['ca.crt'], key: data['ca.key'], trust: ['ca.crt', 'next.crt', 'previous.crt'].map((name) => data[name] ?? '').join('') })

/** A new certificate where there is none of this CA for these names with a month left. */
export const certificateFrom = (kept: Data, names: readonly string[], authority: Authority, now: Date): Data & { readonly 'tls.crt': string; readonly 'tls.key': string } => {
  const { 'tls.crt': certificate, 'tls.key': key } = kept
  if (certificate !== undefined && key !== undefined && isFresh(certificate, now, 30, { authority, names }) && pairFault(certificate, key) === undefined) return { 'tls.crt': certificate, 'tls.key': key }
  const made = certificateFor(names, authority, now)
  return { 'tls.key': made.key, 'tls.crt': made.certificate }
}

type NeedFor<K extends Need['kind']> = Extract<Need, { kind: K }>
export type CredentialNeed = NeedFor<'credential'>
type At = { readonly host: string; readonly port: number }

/** The person gets user name and password, the snapshot a salted hash. A rotation makes a new password; the one before stays right for the time of the overlap. */
export const credentialFrom = (kept: Data, need: CredentialNeed, at: At, authority: Authority, now: Date): { readonly data: Data; readonly made: MadeCredential } => {
  const { password, salt, previous } = passwordFrom(kept, need, now)
  const uri = uriOf(need, at, `${encodeURIComponent(need.username)}:${password}@`)
  const marks = { ...(need.rotation !== undefined && { rotation: need.rotation }), ...(previous && { 'previous-salt': previous.salt, 'previous-hash': previous.hash, 'previous-until': previous.until }) }
  return {
    data: { username: need.username, password, salt, host: at.host, port: String(at.port), uri, ...trusted(kept, need, authority), ...marks },
    made: { username: need.username, salt, hash: hashOf(password, salt), ...(previous && { previous }) },
  }
}

/** The password that is kept, where there is one. */
export const credentialIn = (kept: Data, username: string, now: Date): MadeCredential | undefined => {
  const { password, salt } = kept
  const previous = previousIn(kept, now)
  return password === undefined || salt === undefined ? undefined : { username, salt, hash: hashOf(password, salt), ...(previous && { previous }) }
}

/** How long running pods may go on with the password before. */
const overlapMs = 24 * 3_600_000

type Password = { readonly password: string; readonly salt: string; readonly previous: MadeCredential['previous'] }

const passwordFrom = (kept: Data, { rotation }: CredentialNeed, now: Date): Password => {
  const { password, salt } = kept
  if (password === undefined || salt === undefined) return { ...newPassword(), previous: undefined }
  if (rotation === undefined || rotation === kept.rotation) return { password, salt, previous: previousIn(kept, now) }
  return { ...newPassword(), previous: { salt, hash: hashOf(password, salt), until: new Date(now.getTime() + overlapMs).toISOString() } }
}

const newPassword = (): Pick<Password, 'password' | 'salt'> => ({ password: randomBytes(32).toString('base64url'), salt: randomBytes(16).toString('hex') })

const previousIn = ({ 'previous-salt': salt, 'previous-hash': hash, 'previous-until': until }: Data, now: Date): MadeCredential['previous'] =>
  salt !== undefined && hash !== undefined && until !== undefined && now.getTime() < Date.parse(until) ? { salt, hash, until } : undefined

/** For who brings a token: where to, for whom, and which certificate to trust. */
export const bindingFrom = (kept: Data, need: NeedFor<'binding'>, at: At, authority: Authority): Data => ({ host: at.host, port: String(at.port), audience: need.audience, uri: uriOf(need, at, ''), ...trusted(kept, need, authority) })

/** The CA of the listener's certificate; none where that is a person's own and its Secret names none: then the client's own list counts. */
const trusted = (kept: Data, { trust: own }: Pick<CredentialNeed, 'trust'>, { trust }: Authority): Data => {
  const ca = own === undefined ? trust : own.asBefore ? kept['ca.crt'] : own.ca
  return ca === undefined ? {} : { 'ca.crt': ca }
}

const uriOf = ({ implicitTls }: Pick<CredentialNeed, 'implicitTls'>, { host, port }: At, user: string): string => `${implicitTls ? 'smtps' : 'smtp'}://${user}${urlHost(host)}:${port}`

/** 256 random bits need no slow hash. */
const hashOf = (password: string, salt: string): string => createHash('sha256').update(Buffer.from(salt, 'hex')).update(password, 'utf8').digest('hex')
