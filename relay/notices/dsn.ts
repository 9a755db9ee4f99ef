// What the sender is told, as a delivery status notification (RFC 3461, 3462, 3464, 6522, 6533). Pure: time and id are passed in.
// One message per set of notices, naming every recipient; the first line is for a person.
import { isIP } from 'node:net'
import type { ComposeNotice, Delivery, NewMessage, Notice, Recipient } from '../queue/index.ts'
import { addressLiteral, fromSevenBits, inSevenBits, mailDate, printMailbox, splitMailbox, type Mailbox, type Schedule } from '../snapshot/index.ts'
import { betweenCharacters, humanText, onOneLine, subjectOf } from './dsn-words.ts'

export type NoticeSettings = {
  readonly hostname: string
  readonly postmaster?: string // where double bounces go; absent: nowhere
  readonly schedule?: Schedule // for the notice itself; else that of the message it is about
}

type Given = Parameters<ComposeNotice>[0]

export const composeDsn = (settings: NoticeSettings, given: Given): NewMessage | undefined => {
  const notices = isOurs(given.delivery.envelope) ? given.notices : given.notices.filter(isWanted)
  const to = addressee(settings, given.delivery, notices)
  if (notices.length === 0 || to === undefined) return undefined
  const utf8 = isGlobal(given, notices)
  const text = fitting({ hostname: settings.hostname, given, to, utf8 }, notices)
  return {
    id: given.id,
    envelope: {
      mailFrom: null, // RFC 3464 2: never anything else, or notices would answer each other
      body: isAscii(text) ? '7BIT' : '8BITMIME',
      smtputf8: utf8,
      source: 'local',
      listener: 'local',
      class: given.delivery.envelope.class,
      because: `notice about ${given.delivery.message}`,
    },
    deliveries: [{ domain: to.domain, recipients: [{ mailbox: to, notify: ['NEVER'] }], schedule: settings.schedule ?? given.delivery.schedule }],
    headers: Buffer.alloc(0),
    body: { inline: text },
  }
}

/** A notice says NEVER for the hosts that it passes: of one that fails the postmaster hears all the same. */
const isOurs = ({ mailFrom, source }: Delivery['envelope']): boolean => mailFrom === null && source === 'local'

/** RFC 3461 4.1: NEVER silences all; a list wants only what it names; without NOTIFY failures and delays are told. */
export const isWanted = ({ kind, recipient: { notify } }: Notice): boolean => {
  if (notify === undefined || notify.length === 0) return kind === 'failed' || kind === 'delayed'
  const wanted = { failed: 'FAILURE', delayed: 'DELAY', relayed: 'SUCCESS' } as const
  return !notify.includes('NEVER') && notify.includes(wanted[kind])
}

/** The envelope sender. A failed notice (null sender) goes to the postmaster once, and is never answered in turn (RFC 5321 6.1). */
const addressee = ({ postmaster }: NoticeSettings, { envelope, recipients }: Delivery, notices: readonly Notice[]): Mailbox | undefined => {
  if (envelope.mailFrom !== null) return envelope.mailFrom
  const to = postmaster === undefined ? undefined : splitMailbox(postmaster)
  if (to === undefined || !notices.some(({ kind }) => kind === 'failed')) return undefined
  const wasToPostmaster = [...recipients, ...notices.map(({ recipient }) => recipient)].some(({ mailbox }) => printMailbox(mailbox).toLowerCase() === printMailbox(to).toLowerCase())
  return wasToPostmaster ? undefined : to
}

const isAscii = (bytes: Buffer): boolean => bytes.every((byte) => byte < 0x80)

/** RFC 6533: UTF-8 in an address or in the original's header makes the global forms necessary. */
const isGlobal = ({ delivery: { envelope }, original, originalIsWhole }: Given, notices: readonly Notice[]): boolean => {
  if (!envelope.smtputf8) return false
  const addresses = [...(envelope.mailFrom ? [envelope.mailFrom] : []), ...notices.map(({ recipient }) => recipient.mailbox)]
  return addresses.some(({ local }) => !isAscii(Buffer.from(local))) || !isAscii(headersOf(original, originalIsWhole))
}

/** A record of the queue holds a little under 1 MiB. */
const mostBytes = 700_000
const inBrief = (text: string): string => text.slice(0, betweenCharacters(text, 200))

type Letter = { readonly hostname: string; readonly given: Given; readonly to: Mailbox; readonly utf8: boolean }

/** Every recipient with every word, where that fits; else with the beginning of each reply; else as many recipients as do. */
const fitting = (letter: Letter, notices: readonly Notice[]): Buffer => {
  const whole = message(letter, notices)
  if (whole.length <= mostBytes) return whole
  const brief = notices.map((notice) => ({ ...notice, plain: inBrief(notice.plain), ...(notice.diagnostic !== undefined && { diagnostic: inBrief(notice.diagnostic) }) }))
  for (let count = brief.length; ; count = Math.floor(count / 2)) {
    const text = message(letter, brief.slice(0, count), brief.length - count)
    if (text.length <= mostBytes || count <= 1) return text
  }
}

const message = ({ hostname, given, to, utf8 }: Letter, notices: readonly Notice[], more = 0): Buffer => {
  const returned = returnedPart(given, notices, utf8)
  const boundary = freeBoundary(given.id, returned.content)
  const human = humanText(hostname, given.delivery, notices, more)
  const head = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${onOneLine(printMailbox(to))}>`,
    `Subject: ${subjectOf(given.delivery, notices)}`,
    `Date: ${mailDate(new Date(given.now))}`,
    `Message-ID: <${given.id}@${hostname}>`,
    'Auto-Submitted: auto-replied', // RFC 3834 5
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status; boundary="${boundary}"`,
    `Content-Transfer-Encoding: ${utf8 || !isAscii(returned.content) || !isAscii(Buffer.from(human)) ? '8bit' : '7bit'}`,
    '',
    'This is a delivery status notification in MIME format.',
    ...part(boundary, 'text/plain; charset=utf-8', isAscii(Buffer.from(human)) ? '7bit' : '8bit'),
    human,
    ...part(boundary, `message/${utf8 ? 'global-' : ''}delivery-status`, utf8 ? '8bit' : '7bit'),
    statusPart(hostname, given, notices, utf8),
    ...part(boundary, returned.type, isAscii(returned.content) ? '7bit' : '8bit'),
    '',
  ].join('\r\n')
  return Buffer.concat([Buffer.from(head), returned.content, Buffer.from(`\r\n--${boundary}--\r\n`)])
}

const part = (boundary: string, type: string, encoding: string): string[] => ['', `--${boundary}`, `Content-Type: ${type}`, `Content-Transfer-Encoding: ${encoding}`, '']

/** RFC 3464 2: fields about the message, then a block for each recipient, an empty line between them. */
const statusPart = (hostname: string, { delivery }: Given, notices: readonly Notice[], utf8: boolean): string => {
  const { envid } = delivery.envelope
  const perMessage = [
    ...(envid === undefined ? [] : [`Original-Envelope-Id: ${inField(fromXtext(envid), utf8)}`]),
    `Reporting-MTA: dns; ${hostname}`,
    `Arrival-Date: ${mailDate(new Date(delivery.arrivedAt))}`,
    `X-Posthouse-Message-ID: ${delivery.message}`,
  ]
  return [perMessage, ...notices.map((notice) => recipientBlock(notice, utf8))].map((lines) => lines.join('\r\n')).join('\r\n\r\n')
}

const recipientBlock = (notice: Notice, utf8: boolean): string[] => {
  const { recipient, kind, status, remote, diagnostic, lastAttemptAt, willRetryUntil } = notice
  return [
    ...(recipient.orcpt === undefined ? [] : [inOneLine(`Original-Recipient: ${originalRecipient(recipient.orcpt, utf8)}`)]),
    `Final-Recipient: ${finalRecipient(recipient, utf8)}`,
    `Action: ${kind}`,
    `Status: ${status}`,
    ...(remote === undefined ? [] : [`Remote-MTA: dns; ${isIP(remote) === 0 ? inField(remote, utf8) : addressLiteral(remote)}`]),
    ...(diagnostic === undefined ? [] : [folded(`Diagnostic-Code: ${inField(diagnostic, utf8)}`)]),
    ...(lastAttemptAt === undefined ? [] : [`Last-Attempt-Date: ${mailDate(new Date(lastAttemptAt))}`]),
    ...(willRetryUntil === undefined ? [] : [`Will-Retry-Until: ${mailDate(new Date(willRetryUntil))}`]),
  ]
}

/** ORCPT is "type;xtext" (RFC 3461 4.2); the field has the address itself (RFC 3464 2.3.1). What type utf-8 escapes besides, a global report has as it is (RFC 6533 3). */
const originalRecipient = (orcpt: string, utf8: boolean): string => {
  const [type = 'rfc822', ...rest] = orcpt.split(';')
  const address = onOneLine(fromXtext(rest.join(';')))
  if (type.toLowerCase() !== 'utf-8') return `${onOneLine(type)}; ${inField(address, utf8)}`
  return `${type}; ${utf8 ? onOneLine(fromSevenBits(address)) : inSevenBits(address)}`
}

const finalRecipient = ({ mailbox }: Recipient, utf8: boolean): string => {
  const address = onOneLine(printMailbox(mailbox))
  return isAscii(Buffer.from(address)) ? `rfc822; ${address}` : `utf-8; ${addressOf(address, utf8)}`
}

/** Outside a global report. */
const addressOf = (address: string, utf8: boolean): string => (utf8 ? address : inSevenBits(address))

/** RFC 3464 2.1.1: outside a global report the fields are ASCII, whatever a client or a host wrote. */
const inField = (text: string, utf8: boolean): string => onOneLine(utf8 ? text : text.replace(/[^\x20-\x7e]/gu, '?'))

export const fromXtext = (text: string): string => text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** An address in which a fold left a blank is another one: it has one only where it has to. */
const inOneLine = (line: string): string => (Buffer.byteLength(line) <= 998 ? line : folded(line))

/** RFC 5322 2.1.1: no line over 998 octets; folded at spaces where there are any, of which a row is one: no line may be blanks alone (3.2.2). */
const folded = (line: string): string => (line.length <= 200 ? line : foldedAt190(line.replace(/ +/g, ' ').trimEnd()))

const foldedAt190 = (line: string): string => {
  if (line.length <= 200) return line
  const space = line.lastIndexOf(' ', 190)
  const cut = space < 20 ? betweenCharacters(line, 190) : space
  return `${line.slice(0, cut)}\r\n ${foldedAt190(line.slice(space < 20 ? cut : cut + 1))}`
}

/** The whole message only where a failure is told, the client asked for it, and it is at hand (RFC 3461 4.3) and fit to be sent: a notice that is refused tells nobody. */
const returnedPart = ({ delivery, original, originalIsWhole }: Given, notices: readonly Notice[], utf8: boolean): { type: string; content: Buffer } => {
  const whole = originalIsWhole && delivery.envelope.ret === 'FULL' && notices.some(({ kind }) => kind === 'failed') && !hasLongLine(original)
  if (whole) return { type: utf8 ? 'message/global' : 'message/rfc822', content: original }
  return { type: utf8 ? 'message/global-headers' : 'text/rfc822-headers', content: shortLines(headersOf(original, originalIsWhole)) }
}

/** RFC 5322 2.1.1. What is over that is cut off, with the character that it is cut in. */
const longLine = /[^\r\n]{999,}/g
const hasLongLine = (bytes: Buffer): boolean => bytes.toString('latin1').search(longLine) >= 0
const shortLines = (bytes: Buffer): Buffer =>
  hasLongLine(bytes) ? Buffer.from(bytes.toString('latin1').replace(longLine, (line) => line.slice(0, 998).replace(/[\xc0-\xff][\x80-\xbf]*$/, '')), 'latin1') : bytes

/** Up to the empty line; of a message without one, nothing is header. */
const headersOf = (original: Buffer, isWhole: boolean): Buffer => {
  const end = original.indexOf('\r\n\r\n')
  return end >= 0 ? original.subarray(0, end + 2) : isWhole && !/^[!-9;-~]+:/.test(original.subarray(0, 200).toString('latin1')) ? Buffer.alloc(0) : original
}

/** A boundary that does not occur in what it bounds (RFC 2046 5.1). */
const freeBoundary = (id: string, content: Buffer): string => {
  for (let turn = 0; ; turn++) {
    const boundary = `=_${id.replace(/[^A-Za-z0-9]/g, '')}_${turn}`
    if (!content.includes(boundary)) return boundary
  }
}
