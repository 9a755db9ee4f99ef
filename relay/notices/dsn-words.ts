// The part of a notice that a person reads, its subject and its dates. Pure.
import type { Delivery, Notice } from '../queue/index.ts'
import { mailDate, printMailbox } from '../snapshot/index.ts'

type Kind = Notice['kind']

const subjects: Readonly<Record<Kind, string>> = {
  failed: 'Your message could not be delivered',
  delayed: 'Your message is delayed; we keep trying',
  relayed: 'Your message was handed on',
}

export const subjectOf = ({ envelope }: Delivery, notices: readonly Notice[]): string => (envelope.mailFrom === null ? 'A message without a sender could not be delivered' : subjects[worst(notices)])

const order: readonly Kind[] = ['failed', 'delayed', 'relayed']
const worst = (notices: readonly Notice[]): Kind => order.find((kind) => notices.some((notice) => notice.kind === kind)) ?? 'failed'

/** The first line says what happened; then each recipient with the reason in plain words and the other side's own. */
export const humanText = (hostname: string, delivery: Delivery, notices: readonly Notice[], more: number): string => {
  const isNobodys = delivery.envelope.mailFrom === null // then it is the postmaster who reads
  const blocks = order.flatMap((kind) => section(kind, notices.filter((notice) => notice.kind === kind), isNobodys))
  const arrived = `We took the message on ${mailDate(new Date(delivery.arrivedAt))} under the number ${delivery.message}.`
  const others = more === 0 ? [] : [`The same happened to ${more} more recipients, for whom this notice has no room.`, '']
  return wrapped([...blocks, ...others, `${arrived} This notice was written by the mail system ${hostname}; an answer to it is read by nobody.`]).join('\r\n')
}

const section = (kind: Kind, notices: readonly Notice[], isNobodys: boolean): string[] =>
  notices.length === 0 ? [] : [opening(kind, notices, isNobodys ? 'A message without a sender (such as a notice)' : 'Your message'), ...(isNobodys ? ['We will not try again, and nobody else is left to tell.'] : next[kind]), '', ...notices.flatMap((notice) => [...recipientLines(notice), ''])]

/** What the reader has to do, or not. */
const next: Readonly<Record<Kind, readonly string[]>> = {
  failed: ['We will not try again.'],
  delayed: ['You need not do anything: we keep trying.'],
  relayed: [],
}

const opening = (kind: Kind, notices: readonly Notice[], what: string): string => {
  const many = notices.length === 1 ? printMailbox(notices[0]!.recipient.mailbox) : `these ${notices.length} recipients`
  switch (kind) {
    case 'failed':
      return `${what} could not be delivered to ${many}.`
    case 'delayed':
      return `${what} to ${many} is delayed.`
    case 'relayed':
      return `${what} to ${many} was handed to the next mail server.`
  }
}

const recipientLines = ({ recipient, plain, diagnostic, remote, willRetryUntil, kind }: Notice): string[] => [
  `${printMailbox(recipient.mailbox)}: ${plain}`,
  ...(diagnostic === undefined || kind === 'relayed' ? [] : [`  ${remote !== undefined && diagnostic.startsWith('smtp; ') ? `${remote} said` : 'In detail'}: ${withoutType(diagnostic)}`]),
  ...(willRetryUntil === undefined ? [] : [`  We try until ${mailDate(new Date(willRetryUntil))}.`]),
]

const withoutType = (diagnostic: string): string => diagnostic.replace(/^[A-Za-z0-9-]+; /, '')

/** Nothing that others wrote ends a line of ours, or turns the direction of writing so that it reads as something else. */
export const onOneLine = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ')

/** Lines of at most 76 characters where there are spaces, never over 900 octets (RFC 5322 2.1.1); no control characters. */
const wrapped = (lines: readonly string[]): string[] => lines.flatMap((line) => wrap(onOneLine(line).trimEnd()))

/** The place to cut at, not within a character of two units, of which two broken ones would be left. */
export const betweenCharacters = (text: string, at: number): number => (/^[\udc00-\udfff]/.test(text.charAt(at)) ? at - 1 : at)

const longestWord = 300 // an address stays in one piece, to be read and copied

const wrap = (line: string): string[] => {
  const width = line.startsWith('  ') ? 200 : 76 // the other side's words stay together where they can
  if (line.length <= width) return [line]
  const space = line.lastIndexOf(' ', width)
  const next = space > line.length - line.trimStart().length ? space : line.indexOf(' ', width) // a blank of the indent ends no word
  const cut = betweenCharacters(line, Math.min(next < 0 ? line.length : next, longestWord))
  if (cut === line.length) return [line]
  const indent = line.startsWith('  ') ? '    ' : ''
  return [line.slice(0, cut), ...wrap(`${indent}${line.slice(cut).trimStart()}`)]
}
