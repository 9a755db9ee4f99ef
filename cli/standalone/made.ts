// Makes once, and keeps, what a cluster's operator would: a CA, certificates, credentials of MailSenders, DKIM keys.
// Steps: read what is there; make what is lacking or running out; hand back what the plan wants. Touches its own folder only, mode 0600.
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Made, Need } from '../../operator/index.ts'
import { certificateFor, isFresh, newAuthority, type Authority } from './certificates.ts'
import { dkimKeyFor } from './dkim-keys.ts'
import { folderFor, readIn, writeSecretly } from './secret-files.ts'

type NeedFor<K extends Need['kind']> = Extract<Need, { kind: K }>

/** `host`: where clients on this machine reach the listeners. */
export type MadeOptions = { readonly folder: string; readonly now: Date; readonly host: string; readonly ports?: 'bind' | 'service' }

export const make = (needs: readonly Need[], options: MadeOptions): Made => {
  const of = <K extends Need['kind']>(kind: K) => needs.filter((need): need is NeedFor<K> => need.kind === kind)
  mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const authority = authorityIn(options)
  const certificates = of('certificate').map((need) => [need.relay, certificateIn(need, authority, options)] as const)
  const credentials = of('credential').map((need) => [need.sender, credentialIn(need, authority, options)] as const)
  const dkim: Record<string, Made['dkim'][string][number][]> = {}
  for (const need of of('dkim')) (dkim[need.for] ??= []).push(dkimKeyFor(need, join(options.folder, 'dkim', fileName(need.for)), options.now))
  return { certificates: Object.fromEntries(certificates), credentials: Object.fromEntries(credentials), dkim }
}

/** mail/demo as one file name; a namespace holds no dot, so no two can meet. */
const fileName = (key: string): string => key.replace('/', '.')

const authorityIn = ({ folder, now }: MadeOptions): Authority => {
  const place = folderFor(folder, 'ca')
  const [certificate, key] = [readIn(place, 'ca.crt'), readIn(place, 'ca.key')]
  if (certificate !== undefined && key !== undefined && isFresh(certificate, now, 366)) return { certificate, key }
  const made = newAuthority(now)
  writeSecretly(join(place, 'ca.key'), made.key)
  writeSecretly(join(place, 'ca.crt'), made.certificate)
  return made
}

const certificateIn = ({ relay, names }: NeedFor<'certificate'>, authority: Authority, { folder, now, host }: MadeOptions): Made['certificates'][string] => {
  const place = folderFor(folder, 'certificates', fileName(relay))
  const wanted = [...new Set([...names, host, 'localhost', '127.0.0.1', '::1'])]
  const [certificate, key] = [readIn(place, 'tls.crt'), readIn(place, 'tls.key')]
  if (certificate !== undefined && key !== undefined && isFresh(certificate, now, 30, { authority, names: wanted })) return { certificate, key }
  const made = certificateFor(wanted, authority, now)
  writeSecretly(join(place, 'tls.key'), made.key)
  writeSecretly(join(place, 'tls.crt'), made.certificate)
  return made
}

/** The person finds user name and password in the folder; the snapshot gets a salted hash. */
const credentialIn = (need: NeedFor<'credential'>, authority: Authority, { folder, host, ports = 'bind' }: MadeOptions): Made['credentials'][string] => {
  const place = folderFor(folder, 'senders', fileName(need.sender))
  const password = readIn(place, 'password') ?? randomBytes(32).toString('base64url')
  const salt = readIn(place, 'salt') ?? randomBytes(16).toString('hex')
  const port = String(ports === 'bind' ? need.bindPort : need.port)
  const uri = `${need.implicitTls ? 'smtps' : 'smtp'}://${encodeURIComponent(need.username)}:${password}@${host}:${port}`
  const files = { username: need.username, password, salt, host, port, uri, 'ca.crt': authority.certificate }
  for (const [name, text] of Object.entries(files)) if (readIn(place, name) !== text) writeSecretly(join(place, name), text)
  return { username: need.username, salt, hash: hashOf(password, salt) }
}

/** 256 random bits need no slow hash. */
const hashOf = (password: string, salt: string): string => createHash('sha256').update(Buffer.from(salt, 'hex')).update(password, 'utf8').digest('hex')
