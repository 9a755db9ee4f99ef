// What is made once and kept: a CA, certificates, credentials of MailSenders. Each goes from what is kept to what is to be kept. Touches nothing.
import { createHash, randomBytes } from 'node:crypto'
import type { Made, Need } from '../plan/index.ts'
import { certificateFor, isFresh, newAuthority, type Authority } from './certificates.ts'
import type { Data } from './data.ts'

/** A new CA where there is none, or less than a year is left of it: what it signs lives a year. */
export const authorityFrom = (kept: Data, now: Date): Data & { readonly 'ca.crt': string; readonly 'ca.key': string } => {
  const { 'ca.crt': certificate, 'ca.key': key } = kept
  if (certificate !== undefined && key !== undefined && isFresh(certificate, now, 366)) return { 'ca.crt': certificate, 'ca.key': key }
  const made = newAuthority(now)
  return { 'ca.key': made.key, 'ca.crt': made.certificate }
}

export const authorityIn = (data: { readonly 'ca.crt': string; readonly 'ca.key': string }): Authority => ({ certificate: data['ca.crt'], key: data['ca.key'] })

/** A new certificate where there is none of this CA for these names with a month left. */
export const certificateFrom = (kept: Data, names: readonly string[], authority: Authority, now: Date): Data & { readonly 'tls.crt': string; readonly 'tls.key': string } => {
  const { 'tls.crt': certificate, 'tls.key': key } = kept
  if (certificate !== undefined && key !== undefined && isFresh(certificate, now, 30, { authority, names })) return { 'tls.crt': certificate, 'tls.key': key }
  const made = certificateFor(names, authority, now)
  return { 'tls.key': made.key, 'tls.crt': made.certificate }
}

export type CredentialNeed = Extract<Need, { kind: 'credential' }>

/** The person gets user name and password, the snapshot a salted hash. */
export const credentialFrom = (kept: Data, need: CredentialNeed, at: { readonly host: string; readonly port: number }, authority: Authority): { readonly data: Data; readonly made: Made['credentials'][string] } => {
  const password = kept.password ?? randomBytes(32).toString('base64url')
  const salt = kept.salt ?? randomBytes(16).toString('hex')
  const uri = `${need.implicitTls ? 'smtps' : 'smtp'}://${encodeURIComponent(need.username)}:${password}@${at.host}:${at.port}`
  return {
    data: { username: need.username, password, salt, host: at.host, port: String(at.port), uri, 'ca.crt': authority.certificate },
    made: { username: need.username, salt, hash: hashOf(password, salt) },
  }
}

/** 256 random bits need no slow hash. */
const hashOf = (password: string, salt: string): string => createHash('sha256').update(Buffer.from(salt, 'hex')).update(password, 'utf8').digest('hex')

/** User name and password of a relay at the servers of its queue. */
export const loginFrom = (kept: Data): Data & { readonly username: string; readonly password: string } => ({ username: kept.username ?? 'relay', password: kept.password ?? randomBytes(32).toString('base64url') })
