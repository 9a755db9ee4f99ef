// Who a credential is: the MailSender whose password or ServiceAccount token it is, in the same time whoever asks. Changes the state only where it is right.
import { createHash, timingSafeEqual } from 'node:crypto'
import { indexOf, isToken, proveAccount, reply, tokenFaults, type Reply } from '../decide/index.ts'
import type { Sender } from '../snapshot/index.ts'
import type { State } from './state.ts'

/** A token may come as a password too, under any user name: the token says whose it is. */
export const verify = (state: State, username: string, password: string): Reply | Promise<Reply> => (isToken(password) ? verifyToken(state, password) : verifyPassword(state, username, password))

export const verifyToken = async (state: State, token: string): Promise<Reply> => {
  const snapshot = state.world.snapshot()
  const { relay } = snapshot
  const proof = await proveAccount(token, relay.tokens, new Date())
  if (proof.kind === 'refused') return reply('token-refused', { why: filledIn(tokenFaults[proof.fault], { issuer: relay.tokens?.issuer ?? '', audience: relay.tokens?.audience ?? '' }) })
  const account = `${proof.namespace}/${proof.name}`
  const sender = indexOf(snapshot).accounts.get(account)
  return sender ? admit(state, sender) : reply('token-refused', { why: `no MailSender of namespace ${proof.namespace} in force on ${relay.manifest} names ServiceAccount ${account}` })
}

const filledIn = (text: string, words: Readonly<Record<string, string>>): string => text.replace(/\{(\w+)\}/g, (whole, key: string) => words[key] ?? whole)

const nobody = { salt: '00'.repeat(16), hash: '00'.repeat(32) }

const verifyPassword = (state: State, username: string, password: string): Reply => {
  const sender = indexOf(state.world.snapshot()).logins.get(username)
  const right = isRight(sender?.auth ?? nobody, password, new Date())
  return right && sender ? admit(state, sender) : reply('auth-failed')
}

const admit = (state: State, sender: Sender): Reply => {
  const { manifest } = sender
  if (!sender.listeners.includes(state.listener.name)) return reply('auth-not-admitted', { manifest, listener: state.listener.name })
  state.sender = sender
  return reply('auth-ok', { manifest })
}

type Known = Pick<NonNullable<Sender['auth']>, 'salt' | 'hash' | 'previous'>

/** The password, or, for the time of a rotation, the one before. A user that does not exist costs as much as one that does. */
const isRight = ({ salt, hash, previous }: Known, secret: string, now: Date): boolean => {
  const current = isOf({ salt, hash }, secret)
  const before = isOf(previous ?? nobody, secret)
  return current || (before && previous !== undefined && now.getTime() < Date.parse(previous.until))
}

/** sha256(salt bytes + secret), in constant time. */
const isOf = ({ salt, hash }: Pick<Known, 'salt' | 'hash'>, secret: string): boolean => {
  const given = createHash('sha256').update(Buffer.from(salt, 'hex')).update(secret, 'utf8').digest()
  const stored = Buffer.from(hash, 'hex')
  return timingSafeEqual(given, stored.length === given.length ? stored : Buffer.alloc(given.length)) && stored.length === given.length
}
