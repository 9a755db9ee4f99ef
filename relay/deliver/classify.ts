// A reply into a class: which override of the schedule it asks for, which status the sender is told, and in which words. Pure.
import type { DeferClass, RemoteReply } from './outcome.ts'

export type Topic =
  | 'host-down' | 'greylisted' | 'rate-limited' | 'policy' | 'mailbox-full' | 'no-such-user'
  | 'content-refused' | 'too-big' | 'tls' | 'auth' | 'host-trouble' | 'not-accepting' | 'unknown'

export type Class = { readonly topic: Topic; readonly class: DeferClass; readonly status: string }

type Rule = { readonly topic: Topic; readonly codes?: RegExp; readonly enhanced?: RegExp; readonly words?: RegExp; readonly at?: RegExp }

/** First match wins. Words decide only where codes leave it open: machines are matched on codes (style rule 12). */
const rules: readonly Rule[] = [
  { topic: 'host-down', codes: /./, at: /^GREETING$/ },
  { topic: 'auth', codes: /./, at: /^AUTH$/ },
  { topic: 'tls', codes: /./, at: /^STARTTLS$/ },
  { topic: 'no-such-user', enhanced: /^5\.1\.(1|10|6|3)$/ },
  { topic: 'mailbox-full', enhanced: /^[45]\.2\.2$/ },
  { topic: 'too-big', enhanced: /^[45]\.(2\.3|3\.4)$/ },
  { topic: 'not-accepting', enhanced: /^5\.2\.1$/ },
  { topic: 'greylisted', codes: /^4/, words: /gr[ae]y-?list|try again (later|in)|come back later|first time sender/i, at: /^(RCPT|DATA|DOT|MAIL)$/, enhanced: /^(4\.7\.1|4\.2\.0|4\.2\.1|4\.3\.0|4\.5\.1)?$/ },
  { topic: 'rate-limited', codes: /^4/, words: /\brates?\b|rate-?limit|too (many|much|fast)|throttl|limit|unusual/i, enhanced: /^(4\.7\.|4\.2\.1|4\.5\.3)?/ },
  { topic: 'tls', enhanced: /^[45]\.7\.(10|4)$/ },
  { topic: 'rate-limited', codes: /^421$/, enhanced: /^4\.7\./ },
  { topic: 'greylisted', codes: /^4/, enhanced: /^4\.7\.1$/, at: /^RCPT$/ },
  { topic: 'policy', enhanced: /^[45]\.7\./ },
  { topic: 'content-refused', enhanced: /^5\.6\./ },
  { topic: 'mailbox-full', codes: /^[45]52$/, at: /^RCPT$/, enhanced: /^$/ },
  { topic: 'too-big', codes: /^552$/ },
  { topic: 'no-such-user', codes: /^55[013]$/, at: /^RCPT$/, enhanced: /^$/ },
  { topic: 'content-refused', codes: /^55[04]$/, at: /^DOT$/, enhanced: /^$/ },
  { topic: 'host-down', codes: /^421$/ },
  { topic: 'host-trouble', enhanced: /^[45]\.[34]\./ },
  { topic: 'host-trouble', codes: /^45[12]$/, enhanced: /^$/ },
]

const deferClassOf: Partial<Record<Topic, DeferClass>> = {
  'host-down': 'Connect', greylisted: 'Greylist', 'rate-limited': 'RateLimited', 'mailbox-full': 'QuotaExceeded', tls: 'TLS',
}

/** RFC 3463 codes for replies that bring none; X is the reply's own class. */
const statusOf: Record<Topic, string> = {
  'host-down': 'X.3.2', greylisted: 'X.7.1', 'rate-limited': 'X.7.0', policy: 'X.7.1', 'mailbox-full': 'X.2.2', 'no-such-user': 'X.1.1',
  'content-refused': 'X.6.0', 'too-big': 'X.3.4', tls: 'X.7.5', auth: 'X.7.8', 'host-trouble': 'X.3.0', 'not-accepting': 'X.2.1', unknown: 'X.0.0',
}

/** Unknown 4xx is temporary, unknown 5xx permanent: the reply's first digit is the status' first digit, whatever else it says. */
export const classify = (said: RemoteReply): Class => {
  const topic = rules.find((rule) => fits(rule, said))?.topic ?? 'unknown'
  const firstDigit = said.code >= 500 ? '5' : '4' // RFC 3463 2 knows no status 3
  return { topic, class: deferClassOf[topic] ?? 'Other', status: said.enhanced ?? statusOf[topic].replace('X', firstDigit) }
}

const fits = ({ codes, enhanced, words, at }: Rule, said: RemoteReply): boolean =>
  (codes?.test(String(said.code)) ?? true) &&
  (enhanced?.test(said.enhanced ?? '') ?? true) &&
  (at?.test(said.command) ?? true) &&
  (words?.test(said.lines.join(' ')) ?? true)
