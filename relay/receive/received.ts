// The header fields we put in front of a message: one Received (RFC 5321 4.4, RFC 3848, RFC 6531 4.3), and on submission what is missing (RFC 6409 8). Pure.
import { addressLiteral, literalOf, mailDate, printMailbox, type HeaderFacts, type Mailbox } from '../snapshot/index.ts'
import { domainOf } from './address.ts'

export type Trace = {
  readonly helo: string
  readonly address: string
  readonly hostname: string
  readonly esmtp: boolean
  readonly smtputf8: boolean
  readonly tls: { readonly protocol: string; readonly cipher: string } | undefined
  readonly authenticated: boolean
  readonly id: string
  readonly onlyRecipient: Mailbox | undefined // `for` only where there is one: it must not tell who else got it
  readonly at: Date
}

export const received = (trace: Trace): string => {
  const secure = trace.tls ? ` (${trace.tls.protocol} ${trace.tls.cipher})` : ''
  const whom = trace.onlyRecipient ? `\r\n\tfor <${printMailbox(trace.onlyRecipient)}>` : ''
  return `Received: from ${clientName(trace)}\r\n\tby ${trace.hostname} with ${transmissionType(trace)}${secure}\r\n\tid ${trace.id}${whom}; ${mailDate(trace.at)}\r\n`
}

/** What it called itself, if that is a name or literal at all, and where it really came from. */
const clientName = ({ helo, address }: Trace): string => {
  const literal = addressLiteral(address)
  const name = literalOf(helo) ?? domainOf(helo)
  return name === undefined ? `${literal} (${literal})` : `${name} (${literal})`
}

export const transmissionType = ({ esmtp, smtputf8, tls, authenticated }: Pick<Trace, 'esmtp' | 'smtputf8' | 'tls' | 'authenticated'>): string => {
  const base = smtputf8 ? 'UTF8SMTP' : esmtp ? 'ESMTP' : 'SMTP'
  return base === 'SMTP' ? base : `${base}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`
}

/** Date, Message-ID and From where a submitted message has none (RFC 6409 8.2, 8.3; From so that somebody can answer). */
export const missingFields = (facts: HeaderFacts, given: { id: string; hostname: string; at: Date; mailFrom: Mailbox | null }): string => {
  const date = facts.hasDate ? '' : `Date: ${mailDate(given.at)}\r\n`
  const id = facts.hasMessageId ? '' : `Message-ID: <${given.id}@${given.hostname}>\r\n`
  const from = facts.fromFields > 0 || given.mailFrom === null ? '' : `From: ${printMailbox(given.mailFrom)}\r\n`
  return date + id + from
}
