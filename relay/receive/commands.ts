// The commands that are no part of a message: HELO, EHLO, NOOP, RSET, VRFY, HELP, QUIT, STARTTLS. They only read and change the state.
import { reply } from '../decide/index.ts'
import { auth } from './auth.ts'
import { data, mail, rcpt } from './transaction.ts'
import { say, type Command, type State } from './state.ts'

const hello = (esmtp: boolean): Command => (state, argument) => {
  const name = argument.trim()
  const verb = esmtp ? 'EHLO' : 'HELO'
  // what cannot stand in a header or a log is refused; odd names are common and harmless
  if (name === '' || /\s/.test(name) || name.length > 255) return say(reply('bad-arguments', { syntax: `${verb} hostname` }))
  state.hello = { esmtp, name }
  state.transaction = undefined // RFC 5321 4.1.4
  const greeting = reply('hello', { hostname: state.world.snapshot().relay.hostname })
  return { kind: 'say', reply: greeting, ...(esmtp && { lines: extensions(state) }) }
}

const offersTls = (state: State): boolean => Boolean(state.listener.tls) && !state.tls
const offersAuth = (state: State): boolean => Boolean(state.tls) && state.listener.auth.length > 0 && !state.sender

const verbsFor = (state: State): string =>
  ['HELO EHLO MAIL RCPT DATA RSET NOOP VRFY QUIT HELP', ...(offersTls(state) ? ['STARTTLS'] : []), ...(offersAuth(state) ? ['AUTH'] : [])].join(' ')

const extensions = (state: State): string[] => {
  const { limits, auth } = state.listener
  const always = ['PIPELINING', `SIZE ${limits.messageBytes}`, '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN']
  if (offersTls(state)) return [...always, 'STARTTLS']
  return offersAuth(state) ? [...always, `AUTH ${auth.join(' ')}`] : always
}

const startTls: Command = (state, argument) => {
  if (argument !== '') return say(reply('bad-arguments', { syntax: 'STARTTLS' }))
  if (state.tls) return say(reply('tls-already'))
  if (!state.listener.tls) return say(reply('tls-not-here'))
  return { kind: 'start-tls', reply: reply('start-tls') }
}

const reset: Command = (state, argument) => {
  if (argument !== '') return say(reply('bad-arguments', { syntax: 'RSET' }))
  state.transaction = undefined
  return say(reply('ok'))
}

const quit: Command = (state) => ({ kind: 'close', reply: reply('bye', { hostname: state.world.snapshot().relay.hostname }) })

/** By verb, upper case. What is not here is not recognised: XCLIENT and XFORWARD never are. */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['HELO', hello(false)],
  ['EHLO', hello(true)],
  ['MAIL', mail],
  ['RCPT', rcpt],
  ['DATA', data],
  ['RSET', reset],
  ['NOOP', () => say(reply('ok'))],
  ['VRFY', (_, argument) => say(argument === '' ? reply('bad-arguments', { syntax: 'VRFY user' }) : reply('not-verified'))], // RFC 5321 7.3
  ['EXPN', () => say(reply('no-expand'))],
  ['HELP', (state) => say(reply('help', { verbs: verbsFor(state) }))],
  ['QUIT', quit],
  ['STARTTLS', startTls],
  ['AUTH', auth],
])

/** What a listener that gave STARTTLS must forget when TLS is on (RFC 3207 4.2). */
export const forgetPlaintext = (state: State): void => {
  state.hello = undefined
  state.sender = undefined
  state.proof = undefined
  state.transaction = undefined
}
