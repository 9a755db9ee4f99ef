// 8-bit mail for a host that takes 7 bits only (RFC 6152 3): each part with 8-bit bytes becomes quoted-printable, all else stays as it is.
// Two passes over the message, so that nothing large is held: the first finds the parts, or why it must not be done.
import { isAscii } from 'node:buffer'
import type { Content } from './content.ts'
import { headerSection, wholeContent } from './content.ts'
import { MimeWalker, type Part, type Stretch } from './mime-walk.ts'
import { encodeLine } from './quoted-printable.ts'

export type Survey = { readonly kind: 'convertible'; readonly parts: ReadonlySet<number> } | { readonly kind: 'unsafe'; readonly why: string }

export const survey = async (content: Content): Promise<Survey> => {
  const walker = new MimeWalker()
  const parts = new Set<number>()
  for await (const piece of content.open()) {
    const why = look(walker.feed(piece), parts)
    if (why !== undefined) return { kind: 'unsafe', why }
  }
  const why = look(walker.end(), parts)
  return why === undefined ? { kind: 'convertible', parts } : { kind: 'unsafe', why }
}

const look = (stretches: ReturnType<MimeWalker['feed']>, parts: Set<number>): string | undefined => {
  for (const stretch of stretches) {
    if (stretch.kind === 'fault') return stretch.why
    const why = faultOf(stretch)
    if (why !== undefined) return why
    if (stretch.kind === 'body' && !isAscii(stretch.line)) parts.add(stretch.part.index)
  }
  return undefined
}

const faultOf = (stretch: Stretch): string | undefined => {
  if (stretch.kind === 'header') return isAscii(stretch.part.header) ? undefined : 'the header of a part has 8-bit characters'
  if (isAscii(stretch.line)) return undefined
  if (stretch.kind === 'frame') return '8-bit characters stand outside every part'
  const { part } = stretch
  if (part.isSealed) return 'a signed or encrypted part has 8-bit characters'
  if (part.type === 'message/partial' || part.type === 'message/external-body') return `a ${part.type} has 8-bit characters`
  return ['7bit', '8bit', 'binary'].includes(part.encoding) ? undefined : `a part has 8-bit characters though it is labelled ${part.encoding.slice(0, 40)}`
}

/** The converted message. */
export const converted = (content: Content, parts: ReadonlySet<number>): Content => ({
  bytes: undefined,
  head: content.head,
  async *open() {
    const walker = new MimeWalker()
    for await (const piece of content.open()) yield Buffer.concat(walker.feed(piece).map((stretch) => rewrite(stretch, parts)))
    yield Buffer.concat(walker.end().map((stretch) => rewrite(stretch, parts)))
  },
})

/** Small messages stay in one piece, so that they are sent in one write. */
export const convertContent = async (content: Content, parts: ReadonlySet<number>): Promise<Content> => {
  const streamed = converted(content, parts)
  if (content.whole === undefined) return streamed
  const pieces: Buffer[] = []
  for await (const piece of streamed.open()) pieces.push(piece)
  return wholeContent(Buffer.concat(pieces))
}

/** A notice that returns only the header of the message it is about, which can be converted whatever it holds: who asked for more (RFC 3461 4.3) is told all the same. */
export const returningHeader = async (notice: Content): Promise<Content> => {
  const pieces: Buffer[] = []
  for await (const piece of notice.open()) pieces.push(piece)
  const text = Buffer.concat(pieces).toString('latin1')
  const [label = '', type] = /\r\nContent-Type: message\/(rfc822|global)\r\nContent-Transfer-Encoding: [78]bit\r\n\r\n/.exec(text) ?? []
  if (type === undefined) return notice
  const start = text.indexOf(label) + label.length
  const end = text.lastIndexOf('\r\n--')
  const header = headerSection(Buffer.from(text.slice(start, end), 'latin1'))
  const relabelled = label.replace(/message\/\w+/, type === 'global' ? 'message/global-headers' : 'text/rfc822-headers').replace(/[78]bit/, isAscii(header) ? '7bit' : '8bit')
  return wholeContent(Buffer.from(`${text.slice(0, start - label.length)}${relabelled}${header.toString('latin1')}${text.slice(end)}`, 'latin1'))
}

const rewrite = (stretch: ReturnType<MimeWalker['feed']>[number], parts: ReadonlySet<number>): Buffer => {
  if (stretch.kind === 'fault') return Buffer.alloc(0) // the survey ended there
  if (stretch.kind === 'header') return rewriteHeader(stretch.part, parts.has(stretch.part.index))
  if (stretch.kind === 'frame' || !parts.has(stretch.part.index)) return stretch.line
  const { line, isEnd } = stretch
  const hasCr = isEnd && line.at(-2) === 0x0d
  const text = encodeLine(isEnd ? line.subarray(0, hasCr ? -2 : -1) : line, isEnd)
  return Buffer.from(isEnd ? `${text}\r\n` : text, 'latin1')
}

const rewriteHeader = (part: Part, isEncoded: boolean): Buffer => {
  const isComposite = part.type.startsWith('multipart/') || part.type === 'message/rfc822'
  if (!isEncoded && !(isComposite && (part.encoding === '8bit' || part.encoding === 'binary'))) return part.header
  const text = part.header.toString('latin1')
  const fields = text.replace(/(^|\r\n)\r\n$/, '$1').replace(/^content-transfer-encoding[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*/gim, '')
  const added = [
    ...(part.isTop && !/^mime-version[ \t]*:/im.test(fields) ? ['MIME-Version: 1.0'] : []),
    // RFC 1428 3: 8-bit text of unknown charset
    ...(part.isTop && !/^content-type[ \t]*:/im.test(fields) ? ['Content-Type: text/plain; charset=unknown-8bit'] : []),
    `Content-Transfer-Encoding: ${isEncoded ? 'quoted-printable' : '7bit'}`,
  ]
  return Buffer.from(`${fields}${added.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1')
}
