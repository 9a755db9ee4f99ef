// What follows from what a host did (design: failover within one attempt). Pure; one row of the table per branch.
// Only a reply can end in `fail`: a time-out or a lost connection has no way there, and a type test holds it.
import type { DeferReason, RemoteReply } from './outcome.ts'
import { classify } from './classify.ts'

export type Place = RemoteReply['command']

/** A reply of 400 or above, and where in the session it came. */
export type Said = { readonly kind: 'said'; readonly said: RemoteReply; readonly someTaken?: boolean; readonly reused?: boolean }
/** No reply: the socket, the clock or the bytes failed. */
export type Silent = {
  readonly kind: 'silent'
  readonly at: 'CONNECT' | 'TLS' | Place
  readonly how: 'forbidden' | 'no-way' | 'refused' | 'lost' | 'timeout' | 'garbled' | 'endless' | 'aborted'
  readonly host: string
  readonly address: string
  readonly text: string
  readonly reused: boolean // the connection had served an earlier message
  readonly dotWritten: boolean
}
/** TLS as the policy wants it could not be had. */
export type TlsFault = {
  readonly kind: 'tls'
  readonly how: 'not-offered' | 'handshake' | 'unverified' | 'injected' | 'auth-needs-verified'
  readonly policy: 'None' | 'Opportunistic' | 'Require' | 'Verify'
  readonly implicitTls: boolean // the port has TLS from the first byte: without it there is no way in
  readonly host: string
  readonly address: string
  readonly text: string
}
export type HostEvent = Said | Silent | TlsFault

export type Next =
  | 'next-host'
  | 'helo' // HELO on the same connection
  | 'same-host-without-tls'
  | 'same-host-fresh' // a kept connection had died while idle, had served enough, or is out of step
  | 'later' // and no other host
  | 'further-transaction'
  | 'fail'

/** Everything that has no reply, and TLS: never `fail`. */
export const afterSilence = (event: Silent | TlsFault): Exclude<Next, 'fail' | 'helo' | 'further-transaction'> => {
  if (event.kind === 'tls') return event.how === 'handshake' && event.policy === 'Opportunistic' && !event.implicitTls ? 'same-host-without-tls' : 'next-host'
  if (event.dotWritten || event.how === 'aborted') return 'later' // RFC 1047: it may have been taken
  if (event.reused && (event.how === 'garbled' || (event.how === 'lost' && event.at === 'MAIL'))) return 'same-host-fresh'
  return 'next-host' // RFC 5321 5.1
}

export const afterReply = ({ said, someTaken = false, reused = false }: Said): Next => {
  const { command, code, enhanced = '' } = said
  if (enhanced.startsWith('4.7.') && command !== 'STARTTLS' && command !== 'AUTH') return 'later' // rate limits are not walked around
  if (command === 'EHLO' && code >= 500) return 'helo'
  // a 5xx greeting is the host's, never the mail's; AUTH and STARTTLS are between the hosts too
  if (!isAboutMail(command)) return 'next-host'
  if (command === 'RCPT' && someTaken && (code === 452 || code === 552 || /^[45]\.5\.3$/.test(enhanced))) return 'further-transaction' // RFC 5321 4.5.3.1.10, RFC 3463 X.5.3
  if ((code === 421 || code === 503) && command === 'MAIL' && reused) return 'same-host-fresh' // it is that connection which ends, or is out of sequence
  if (code === 421 && command !== 'DOT') return 'next-host'
  if (code >= 500) return 'fail'
  return afterTemporary(command, said)
}

const isAboutMail = (command: Place): boolean => command === 'MAIL' || command === 'RCPT' || command === 'DATA' || command === 'DOT'

const afterTemporary = (command: Place, said: RemoteReply): Next => {
  if (command === 'RCPT') return 'later' // the recipient's own trouble, or greylisting
  if (command === 'DOT') return /^4\.[34]\./.test(said.enhanced ?? '') ? 'next-host' : 'later'
  return greylists(said) ? 'later' : 'next-host'
}

/** By its words, where the host gives no enhanced code. */
const greylists = (said: RemoteReply): boolean => ['Greylist', 'RateLimited'].includes(classify(said).class)

export const whatNow = (event: HostEvent): Next => (event.kind === 'said' ? afterReply(event) : afterSilence(event))

/** What a temporary end of this event is called. */
export const reasonOf = (event: HostEvent): DeferReason => {
  if (event.kind === 'said') return replyReason(event.said)
  const where = `${event.host} [${event.address}]`
  if (event.kind === 'tls') return { class: 'TLS', status: '4.7.5', text: `${where}: ${event.text}`, host: event.host }
  const status = event.at === 'CONNECT' ? '4.4.1' : '4.4.2' // RFC 3463 3.5: no answer from host; bad connection
  return { class: event.how === 'aborted' ? 'Other' : event.at === 'TLS' ? 'TLS' : 'Connect', status, text: `${where}: ${event.text}`, host: event.host }
}

const replyReason = (said: RemoteReply): DeferReason => {
  const found = classify(said)
  // a host that turns everybody away is away: its words and what they are about are kept, its 5 means nothing for the mail (4.4.1 would say that it did not answer)
  const isHost = !isAboutMail(said.command)
  const status = isHost ? found.status.replace(/^5/, '4') : found.status
  const kind = isHost && found.class === 'Other' && said.command !== 'AUTH' ? 'Connect' : found.class
  return { class: kind, status, text: `${said.host} said to ${said.command}: ${said.lines.join(' / ')}`, host: said.host }
}
