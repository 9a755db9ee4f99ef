// What a message must become for one host: sent as it is, converted, or not sendable there at all. Never a corrupted body.
import { isAscii } from 'node:buffer'
import type { Envelope, Recipient } from '../queue/index.ts'
import { headerSection, type Content } from './content.ts'
import type { Outcome } from './outcome.ts'
import type { Extensions } from './session.ts'

type Unroutable = Extract<Outcome, { kind: 'unroutable' }>

export type Fit = {
  readonly convert: boolean // 8-bit to quoted-printable (RFC 6152 3)
  readonly eightBit: boolean // BODY=8BITMIME
  readonly utf8: boolean // SMTPUTF8
  readonly unfit?: Unroutable // nobody can be reached with this message there
  readonly unfitRecipients: readonly Recipient[] // these cannot
  readonly unfitBecause?: Unroutable
}

export type Message = {
  readonly envelope: Envelope
  readonly recipients: readonly Recipient[]
  readonly content: Content
  readonly hasEightBit: () => Promise<boolean> // the whole body is read at most once for this
}

export const fitTo = async (host: string, offered: Extensions, message: Message): Promise<Fit> => {
  const { envelope, recipients, content } = message
  const fits: Fit = { convert: false, eightBit: envelope.body === '8BITMIME', utf8: false, unfitRecipients: [] }
  const { bytes = 0 } = content
  if (offered.size !== undefined && offered.size > 0 && bytes > offered.size) return { ...fits, unfit: tooBig(host, bytes, offered.size) } // RFC 1870 6.1
  const utf8 = utf8Needs(envelope, recipients, content)
  if (utf8.needed && !offered.smtputf8) {
    if (utf8.bySender) return { ...fits, unfit: noUtf8(host, 'the address of the sender') }
    if (utf8.recipients.length === recipients.length) return narrowed(fits, recipients, host) // our own Received field may name the one there is
    if (utf8.byHeader) return { ...fits, unfit: { ...noUtf8(host, 'the header of the message'), status: '5.6.9' } }
    return narrowed(await eightBitFit(host, offered, message, fits), utf8.recipients, host)
  }
  return eightBitFit(host, offered, message, { ...fits, utf8: utf8.needed })
}

const narrowed = (fit: Fit, unfitRecipients: readonly Recipient[], host: string): Fit => ({ ...fit, unfitRecipients, unfitBecause: noUtf8(host, 'the address') })

const eightBitFit = async (host: string, offered: Extensions, message: Message, fit: Fit): Promise<Fit> => {
  if (offered.eightBitMime) {
    // what a client did not declare is declared by us where it can be seen at once
    return { ...fit, eightBit: fit.eightBit || fit.utf8 || (message.content.whole !== undefined && !isAscii(message.content.whole)) }
  }
  if (!(await message.hasEightBit())) return { ...fit, eightBit: false }
  if (!isAscii(headerSection(message.content.head))) return { ...fit, unfit: notConvertible(host, 'its header has 8-bit characters') }
  return { ...fit, eightBit: false, convert: true }
}

/** RFC 6531 3.4: asked for by the client, and really needed: a flag alone must not make mail undeliverable. */
const utf8Needs = ({ smtputf8, mailFrom }: Envelope, recipients: readonly Recipient[], content: Content) => {
  if (!smtputf8) return { needed: false, bySender: false, byHeader: false, recipients: [] }
  const bySender = mailFrom !== null && !isPlain(mailFrom.local)
  const byHeader = !isAscii(headerSection(content.head))
  const affected = recipients.filter(({ mailbox }) => !isPlain(mailbox.local))
  return { needed: bySender || byHeader || affected.length > 0, bySender, byHeader, recipients: affected }
}

// eslint-disable-next-line no-control-regex
export const isPlain = (text: string): boolean => /^[\x00-\x7f]*$/.test(text)

/** RFC 6531 4.2: 5.6.7 says that an address is not permitted, which who keeps a list may strike off it; a header is 5.6.9. */
const noUtf8 = (host: string, what: string): Unroutable => ({
  kind: 'unroutable', why: 'not-convertible', status: '5.6.7', text: `${what} needs internationalised mail (SMTPUTF8), which ${host} does not offer`,
})
export const notConvertible = (host: string, why: string): Unroutable => ({
  kind: 'unroutable', why: 'not-convertible', status: '5.6.3', text: `${host} takes 7-bit mail only, and the message cannot be converted: ${why}`,
})
const tooBig = (host: string, bytes: number, limit: number): Unroutable => ({
  kind: 'unroutable', why: 'too-big', status: '5.3.4', text: `the message has ${bytes} bytes, ${host} takes at most ${limit}`,
})

export const hasEightBit = async (content: Content): Promise<boolean> => {
  if (content.whole !== undefined) return !isAscii(content.whole)
  for await (const piece of content.open()) if (!isAscii(piece)) return true
  return false
}
