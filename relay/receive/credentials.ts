// Who a credential is: the MailSender whose password or ServiceAccount token it is, in the same time whoever asks; and whether it still is. Changes the state only where it is right.
import { createHash, timingSafeEqual } from 'node:crypto'
import { indexOf, isToken, proveAccount, reply, tokenFaults, type Reply } from '../decide/index.ts'
import type { Sender } from '../snapshot/index.ts'
import type { Proof, State } from './state.ts'

/** A token may come as a password too, under any user name: the token says whose it is. */
export const verify = (state: State, username: string, password: string): Reply | Promise<Reply> => (isToken(password) ? verifyToken(state, password) : verifyPassword(state, username, password))

export const verifyToken = async (state: State, token: string): Promise<Reply> => {
  const snapshot = state.world.snapshot()
  const { relay } = snapshot
  const proof = await proveAccount(token, relay.tokens, new Date())
  if (proof.kind === 'refused') return reply('token-refused', { why: filledIn(tokenFaults[proof.fault], { issuer: relay.tokens?.issuer ?? '', audience: relay.tokens?.audience ?? '' }) })
  const account = `${proof.namespace}/${proof.name}`
  const sender = indexOf(snapshot).accounts.get(account)
  return sender ? admit(state, sender, { account }) : reply('token-refused', { why: `no MailSender of namespace ${proof.namespace} in force on ${relay.manifest} names ServiceAccount ${account}` })
}

const filledIn = (text: string, words: Readonly<Record<string, string>>): string => text.replace(/\{(\w+)\}/g, (whole, key: string) => words[key] ?? whole)

const nobody = { salt: '00'.repeat(16), hash: '00'.repeat(32) }

const verifyPassword = (state: State, username: string, password: string): Reply => {
  const sender = indexOf(state.world.snapshot()).logins.get(username)
  const right = provenBy(sender?.auth ?? nobody, password, new Date())
  return right && sender ? admit(state, sender, right) : reply('auth-failed')
}

/** The sender as the snapshot has it now, for the next message. A refusal where the credential would no longer be right: the password was changed, or the MailSender is gone. */
export const refreshSender = (state: State): Reply | undefined => {
  const { sender: before, proof, listener } = state
  if (before === undefined || proof === undefined) return undefined
  const { senders, accounts } = indexOf(state.world.snapshot())
  const sender = senders.get(`${before.namespace}/${before.name}`)
  const holds = 'account' in proof ? sender === accounts.get(proof.account) : sender?.auth !== undefined && isKnown(sender.auth, proof, new Date())
  if (sender === undefined || !holds || !sender.listeners.includes(listener.name)) return reply('login-over', { manifest: before.manifest })
  state.sender = sender
  return undefined
}

const admit = (state: State, sender: Sender, proof: Proof): Reply => {
  const { manifest } = sender
  if (!sender.listeners.includes(state.listener.name)) return reply('auth-not-admitted', { manifest, listener: state.listener.name })
  Object.assign(state, { sender, proof })
  return reply('auth-ok', { manifest })
}

type Known = Pick<NonNullable<Sender['auth']>, 'salt' | 'hash' | 'previous'>
type Hashed = Pick<Known, 'salt' | 'hash'>

/** The password, or, for the time of a rotation, the one before. A user that does not exist costs as much as one that does. */
const provenBy = ({ salt, hash, previous }: Known, secret: string, now: Date): Hashed | undefined => {
  const current = isOf({ salt, hash }, secret)
  const before = isOf(previous ?? nobody, secret)
  if (current) return { salt, hash }
  return before && previous !== undefined && isInTime(previous, now) ? { salt: previous.salt, hash: previous.hash } : undefined
}

const isKnown = ({ salt, hash, previous }: Known, proof: Hashed, now: Date): boolean => isSame(proof, { salt, hash }) || (previous !== undefined && isSame(proof, previous) && isInTime(previous, now))

const isSame = (one: Hashed, other: Hashed): boolean => one.salt === other.salt && one.hash === other.hash

const isInTime = ({ until }: NonNullable<Known['previous']>, now: Date): boolean => now.getTime() < Date.parse(until)

/** sha256(salt bytes + secret), in constant time. */
const isOf = ({ salt, hash }: Hashed, secret: string): boolean => {
  const given = createHash('sha256').update(Buffer.from(salt, 'hex')).update(secret, 'utf8').digest()
  const stored = Buffer.from(hash, 'hex')
  return timingSafeEqual(given, stored.length === given.length ? stored : Buffer.alloc(given.length)) && stored.length === given.length
}
