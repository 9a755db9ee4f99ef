// The failover table, one row each: what the primary host does the first time, and where the mail must be in the end.
import { makeCertificate } from '../../tools/certificate.ts'
import type { SinkRules } from '../../tools/sink.ts'

export type Row = {
  readonly name: string
  /** Its DeliveryRoute: gives up after a second, or wants TLS. */
  readonly route?: 'hurried' | 'encrypted'
  /** Undefined: nobody listens there. */
  readonly primary: SinkRules | undefined
  /** secondary: at once, by the next host. primary: by the primary, the secondary never asked. failed: a notice. */
  readonly ends: 'secondary' | 'primary' | 'failed'
  /** The number of recipients, and of these those that fail. */
  readonly recipients?: number
  readonly fails?: number
}

/** The answer the first time it is asked, the usual one after that. */
const once = (verb: string, answer: string): SinkRules => {
  let asked = false
  return {
    command: (said) => {
      if (said !== verb || asked) return undefined
      asked = true
      return answer
    },
  }
}

const onceAtDot = (answer: string): SinkRules => {
  let asked = false
  return {
    dot: () => {
      if (asked) return undefined
      asked = true
      return answer
    },
  }
}

const always = (answers: Readonly<Record<string, string>>): SinkRules => ({ command: (verb) => answers[verb] })

const secondOfTwo = (answer: string, again = answer): SinkRules => {
  let count = 0
  return { command: (verb) => (verb === 'RCPT' ? (++count === 2 ? answer : count > 2 && again !== '' ? again : undefined) : undefined) }
}

const made = makeCertificate('mx.example')
export const certificate = { key: made.key, cert: made.certificate }
/** What no sender of today agrees to. */
const oldTls = { ...certificate, maxVersion: 'TLSv1.1' } as const

export const rows: readonly Row[] = [
  { name: 'nobody listens', primary: undefined, ends: 'secondary' },
  { name: 'lost before the greeting', primary: { greeting: () => 'drop' }, ends: 'secondary' },
  { name: 'hangs before the greeting', route: 'hurried', primary: { greeting: () => 'hang' }, ends: 'secondary' },
  { name: 'hangs at EHLO', route: 'hurried', primary: always({ EHLO: 'hang' }), ends: 'secondary' },
  { name: 'hangs at MAIL', route: 'hurried', primary: always({ MAIL: 'hang' }), ends: 'secondary' },
  { name: 'hangs at RCPT', route: 'hurried', primary: always({ RCPT: 'hang' }), ends: 'secondary' },
  { name: 'hangs at DATA', route: 'hurried', primary: always({ DATA: 'hang' }), ends: 'secondary' },
  { name: 'hangs after the dot', route: 'hurried', primary: onceAtDot('hang'), ends: 'primary' },
  { name: 'TLS needed, not offered', route: 'encrypted', primary: {}, ends: 'secondary' },
  { name: 'TLS needed, 454 to STARTTLS', route: 'encrypted', primary: { tls: certificate, ...always({ STARTTLS: '454 4.7.0 not now' }) }, ends: 'secondary' },
  { name: 'TLS needed, its handshake fails', route: 'encrypted', primary: { tls: oldTls }, ends: 'secondary' },
  { name: 'TLS needed, and there', route: 'encrypted', primary: { tls: certificate }, ends: 'primary' },
  { name: 'TLS not needed, its handshake fails', primary: { tls: oldTls }, ends: 'primary' },
  { name: '421 at the greeting', primary: { greeting: () => '421 4.3.2 closing' }, ends: 'secondary' },
  { name: '451 at the greeting', primary: { greeting: () => '451 4.3.2 busy' }, ends: 'secondary' },
  { name: '554 at the greeting', primary: { greeting: () => '554 5.3.2 no mail here' }, ends: 'secondary' },
  { name: '5xx to EHLO and to HELO', primary: always({ EHLO: '502 5.5.1 no', HELO: '502 5.5.1 no' }), ends: 'secondary' },
  { name: '4xx to EHLO and to HELO', primary: always({ EHLO: '451 4.3.0 no', HELO: '451 4.3.0 no' }), ends: 'secondary' },
  { name: '5xx to EHLO, HELO taken', primary: always({ EHLO: '502 5.5.1 no' }), ends: 'primary' },
  { name: '421 to MAIL', primary: once('MAIL', '421 4.3.2 closing'), ends: 'secondary' },
  { name: '451 to MAIL', primary: once('MAIL', '451 4.3.0 not now'), ends: 'secondary' },
  { name: 'lost at MAIL', primary: once('MAIL', 'drop'), ends: 'secondary' },
  { name: 'lost at RCPT', primary: once('RCPT', 'drop'), ends: 'secondary' },
  { name: 'lost at DATA', primary: once('DATA', 'drop'), ends: 'secondary' },
  { name: '451 to DATA', primary: once('DATA', '451 4.3.0 not now'), ends: 'secondary' },
  { name: '451 4.3.0 after the dot', primary: onceAtDot('451 4.3.0 disk trouble'), ends: 'secondary' },
  { name: '421 4.3.2 after the dot', primary: onceAtDot('421 4.3.2 closing'), ends: 'secondary' },
  { name: '451 4.4.1 after the dot', primary: onceAtDot('451 4.4.1 no answer behind'), ends: 'secondary' },
  { name: 'greylisted: 450 to RCPT', primary: once('RCPT', '450 4.7.1 greylisted, come back'), ends: 'primary' },
  { name: '450 4.2.0 after the dot', primary: onceAtDot('450 4.2.0 mailbox busy'), ends: 'primary' },
  { name: '421 after the dot, and no more', primary: onceAtDot('421 closing'), ends: 'primary' },
  { name: '451 4.7.1 after the dot', primary: onceAtDot('451 4.7.1 too fast'), ends: 'primary' },
  { name: '451 4.7.1 to MAIL', primary: once('MAIL', '451 4.7.1 too fast'), ends: 'primary' },
  { name: 'lost after the dot', primary: onceAtDot('drop'), ends: 'primary' },
  { name: '452 to the second RCPT', primary: secondOfTwo('452 4.5.3 too many', ''), ends: 'primary', recipients: 2 },
  { name: '552 to the second RCPT', primary: secondOfTwo('552 5.5.3 too many', ''), ends: 'primary', recipients: 2 },
  { name: '550 to one of two', primary: secondOfTwo('550 5.1.1 no such user'), ends: 'primary', recipients: 2, fails: 1 },
  { name: '550 to MAIL', primary: always({ MAIL: '550 5.7.1 not from you' }), ends: 'failed', recipients: 2, fails: 2 },
  { name: '554 after the dot', primary: { dot: () => '554 5.6.0 not this' }, ends: 'failed', recipients: 2, fails: 2 },
  { name: '354 though nobody was taken', primary: always({ RCPT: '550 5.1.1 no such user', DATA: '354 go on' }), ends: 'failed', fails: 1 },
]
