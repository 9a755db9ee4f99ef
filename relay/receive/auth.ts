// AUTH PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER (RFC 4954, 4616, 7628): over TLS only, for MailSenders. What is said and when; who it is, is in credentials.ts.
import { reply, type Reply } from '../decide/index.ts'
import type { AuthMechanism } from '../snapshot/index.ts'
import { bearerIn, refusalOf } from './bearer-wire.ts'
import { verify, verifyToken } from './credentials.ts'
import { say, type Answer, type State } from './state.ts'

type Answering = Answer | Promise<Answer>

export const auth = (state: State, argument: string): Answering => {
  const refusal = notNow(state)
  if (refusal) return say(refusal)
  const [mechanism = '', initial, more] = argument.split(/ +/)
  const offered = state.listener.auth
  if (mechanism === '' || more !== undefined) return say(reply('bad-arguments', { syntax: 'AUTH mechanism [initial response]' }))
  const known = offered.find((name) => name === mechanism.toUpperCase())
  return known === undefined ? say(reply('auth-mechanism', { offered: offered.join(' ') })) : mechanisms[known](state, initial)
}

const notNow = (state: State) => {
  if (state.listener.auth.length === 0) return reply('auth-not-here')
  if (!state.tls) return reply('auth-needs-tls')
  if (!state.hello) return reply('hello-first')
  if (state.sender) return reply('auth-already')
  return state.transaction && reply('auth-in-transaction')
}

const challenge = (words: string): string => Buffer.from(words).toString('base64')

const ask = (words: string, then: (text: string) => Answering): Answer => ({
  kind: 'ask',
  reply: reply('auth-continue', { challenge: words }),
  next: (line) => (line === '*' ? say(reply('auth-cancelled')) : decoded(line, then)),
})

const decoded = (line: string, then: (text: string) => Answering): Answering => {
  const sound = /^[A-Za-z0-9+/]*={0,2}$/.test(line) && line.length % 4 === 0
  return sound ? then(Buffer.from(line, 'base64').toString('utf8')) : say(reply('auth-base64'))
}

/** What came with the command, or else the answer to a question. `=` is an empty one (RFC 4954 4). */
const begin = (initial: string | undefined, question: string, then: (text: string) => Answering): Answering => (initial === undefined ? ask(question, then) : decoded(initial === '=' ? '' : initial, then))

const saying = (found: Reply | Promise<Reply>): Answering => (found instanceof Promise ? found.then((words) => say(words)) : say(found))

const plain = (state: State, initial: string | undefined): Answering =>
  begin(initial, '', (text) => {
    const parts = text.split('\0') // [authzid] NUL authcid NUL passwd
    if (parts.length !== 3) return say(reply('auth-base64'))
    const [asWhom, username, password] = parts as [string, string, string]
    return asWhom === '' || asWhom === username ? saying(verify(state, username, password)) : say(reply('auth-failed'))
  })

const login = (state: State, initial: string | undefined): Answering => begin(initial, challenge('Username:'), (username) => ask(challenge('Password:'), (password) => saying(verify(state, username, password))))

/** The refusal itself comes after the client's answer to the reasons for machines (RFC 7628 3.2.3). */
const bearer = (mechanism: 'XOAUTH2' | 'OAUTHBEARER') => (state: State, initial: string | undefined): Answering =>
  begin(initial, '', async (text) => {
    const token = bearerIn(mechanism, text)
    if (token === undefined) return say(reply('auth-base64'))
    const found = await verifyToken(state, token)
    if (found.code < 300) return say(found)
    return { kind: 'ask', reply: reply('auth-continue', { challenge: challenge(refusalOf(mechanism)) }), next: (line) => say(line === '*' ? reply('refused-cancelled', { refusal: found.text }) : found) } // RFC 4954 4: 501 to *, whatever went before
  })

const mechanisms: Readonly<Record<AuthMechanism, (state: State, initial: string | undefined) => Answering>> = { PLAIN: plain, LOGIN: login, XOAUTH2: bearer('XOAUTH2'), OAUTHBEARER: bearer('OAUTHBEARER') }
