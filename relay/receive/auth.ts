// AUTH PLAIN and LOGIN (RFC 4954, RFC 4616): over TLS only, for MailSenders, in the same time whoever asks. Pure but for the state.
import { createHash, timingSafeEqual } from 'node:crypto'
import { indexOf, reply } from '../decide/index.ts'
import type { Sender } from '../snapshot/index.ts'
import { say, type Answer, type State } from './state.ts'

export const auth = (state: State, argument: string): Answer => {
  const refusal = notNow(state)
  if (refusal) return say(refusal)
  const [mechanism = '', initial, more] = argument.split(/ +/)
  const offered = state.listener.auth
  if (more !== undefined) return say(reply('bad-arguments', { syntax: 'AUTH mechanism [initial response]' }))
  const known = offered.find((name) => name === mechanism.toUpperCase())
  if (known === undefined) return say(reply('auth-mechanism', { offered: offered.join(' ') }))
  return known === 'PLAIN' ? plain(state, initial) : login(state, initial)
}

const notNow = (state: State) => {
  if (state.listener.auth.length === 0) return reply('auth-not-here')
  if (!state.tls) return reply('auth-needs-tls')
  if (!state.hello) return reply('hello-first')
  if (state.sender) return reply('auth-already')
  return state.transaction && reply('auth-in-transaction')
}

const challenge = (words: string): string => Buffer.from(words).toString('base64')

const ask = (words: string, then: (text: string) => Answer): Answer => ({
  kind: 'ask',
  reply: reply('auth-continue', { challenge: words }),
  next: (line) => (line === '*' ? say(reply('auth-cancelled')) : decoded(line, then)),
})

const decoded = (line: string, then: (text: string) => Answer): Answer => {
  const sound = /^[A-Za-z0-9+/]*={0,2}$/.test(line) && line.length % 4 === 0
  return sound ? then(Buffer.from(line, 'base64').toString('utf8')) : say(reply('auth-base64'))
}

const plain = (state: State, initial: string | undefined): Answer => {
  const check = (text: string): Answer => {
    const parts = text.split('\0') // [authzid] NUL authcid NUL passwd
    if (parts.length !== 3) return say(reply('auth-base64'))
    const [asWhom, username, password] = parts as [string, string, string]
    return asWhom === '' || asWhom === username ? verify(state, username, password) : say(reply('auth-failed'))
  }
  return initial === undefined ? ask('', check) : decoded(initial === '=' ? '' : initial, check)
}

const login = (state: State, initial: string | undefined): Answer => {
  const withName = (username: string): Answer => ask(challenge('Password:'), (password) => verify(state, username, password))
  return initial === undefined ? ask(challenge('Username:'), withName) : decoded(initial === '=' ? '' : initial, withName)
}

const nobody = { salt: '00'.repeat(16), hash: '00'.repeat(32) }

const verify = (state: State, username: string, password: string): Answer => {
  const sender = indexOf(state.world.snapshot()).logins.get(username)
  const right = isRight(sender?.auth ?? nobody, password)
  if (!right || !sender) return say(reply('auth-failed'))
  if (!sender.listeners.includes(state.listener.name)) return say(reply('auth-not-admitted', { manifest: sender.manifest, listener: state.listener.name }))
  state.sender = sender
  return say(reply('auth-ok', { manifest: sender.manifest }))
}

/** sha256(salt bytes + secret) in constant time; a user that does not exist costs as much as one that does. */
export const isRight = ({ salt, hash }: Pick<NonNullable<Sender['auth']>, 'salt' | 'hash'>, secret: string): boolean => {
  const given = createHash('sha256').update(Buffer.from(salt, 'hex')).update(secret, 'utf8').digest()
  const stored = Buffer.from(hash, 'hex')
  return timingSafeEqual(given, stored.length === given.length ? stored : Buffer.alloc(given.length)) && stored.length === given.length
}
