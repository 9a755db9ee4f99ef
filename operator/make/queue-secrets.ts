// Who a relay is at the servers of its queue, and who they are: kept, and rotated in steps of which none locks anybody out. Touches nothing.
//   1. asked for: a second login is made, and the servers are given both    2. all servers run with both: the relay takes the second
//   3. ten minutes later: the servers are given the second only
import { randomBytes } from 'node:crypto'
import { configHash, loginAt, type Data, type QueueLogin } from '../plan/index.ts'
import type { Authority } from './certificates.ts'
import { certificateFrom } from './kept.ts'

/** On a MailRelay: another value than before asks for a new login. */
export const rotateLoginAnnotation = 'posthouse.dev/rotate-queue-login'

export type QueueSecretsNeed = {
  readonly names: readonly string[]
  /** Value of the annotation. */
  readonly rotate: string | undefined
  /** The configuration that every server was seen to run (`configHash`). */
  readonly running: string | undefined
}

/** Pods with a mounted Secret have it after a minute or two. */
const overlapMs = 600_000

/** Keys of the Secret: those that relay and servers read, `next-` and `old-` logins that the servers take beside it, and what was asked for last. */
export const queueSecretsFrom = (kept: Data, { names, rotate, running }: QueueSecretsNeed, authority: Authority, now: Date): Data => ({
  ...loginsFrom(kept, rotate, running !== undefined && running === configHash(kept), now),
  ...certificateFrom(kept, names, authority, now),
  'ca.crt': authority.trust,
})

const named = (prefix: string, { username, password }: QueueLogin): Data => ({ [`${prefix}username`]: username, [`${prefix}password`]: password })

const newLogin = (username: string): QueueLogin => ({ username, password: randomBytes(32).toString('base64url') })

const loginsFrom = (kept: Data, rotate: string | undefined, isRunning: boolean, now: Date): Data => {
  const current = loginAt(kept, '')
  if (current === undefined) return { ...named('', newLogin('relay')), ...asked(rotate) }
  const [next, old] = [loginAt(kept, 'next-'), loginAt(kept, 'old-')]
  if (next && isRunning) return { ...named('', next), ...named('old-', current), 'old-until': new Date(now.getTime() + overlapMs).toISOString(), ...asked(kept.rotated) }
  if (next) return { ...named('', current), ...named('next-', next), ...asked(kept.rotated) }
  if (old && now.getTime() < Date.parse(kept['old-until'] ?? '')) return { ...named('', current), ...named('old-', old), 'old-until': kept['old-until']!, ...asked(kept.rotated) }
  if (rotate === undefined || rotate === kept.rotated) return { ...named('', current), ...asked(kept.rotated) }
  return { ...named('', current), ...named('next-', newLogin(`relay-${randomBytes(4).toString('hex')}`)), ...asked(rotate) }
}

const asked = (rotated: string | undefined): Data => (rotated === undefined ? {} : { rotated })
