// What the header section of a message says: how often it was received, whom From names, what is missing. Pure.
import { splitMailbox, type Mailbox } from './mailbox.ts'

export type HeaderFacts = {
  readonly fields: number
  readonly received: number
  readonly hasDate: boolean
  readonly hasMessageId: boolean
  readonly from: readonly (Mailbox | string)[] // a string: an address that cannot be read
  readonly fromFields: number
  readonly startsWithHeader: boolean // false: the first line is text, so what we put in front must end with an empty line
}

/** Looks at a whole header section, without the empty line. */
export const readHeaderSection = (section: Buffer): HeaderFacts => {
  const text = section.toString('utf8')
  const counts = { fields: 0, received: 0, date: 0, id: 0 }
  const from: string[] = []
  for (const line of unfold(text)) {
    counts.fields += 1
    const name = /^([!-9;-~]+)[ \t]*:/.exec(line)?.[1]?.toLowerCase()
    if (name === 'received') counts.received += 1
    else if (name === 'date') counts.date += 1
    else if (name === 'message-id') counts.id += 1
    else if (name === 'from') from.push(line.slice(line.indexOf(':') + 1))
  }
  return {
    fields: counts.fields,
    received: counts.received,
    hasDate: counts.date > 0,
    hasMessageId: counts.id > 0,
    from: from.flatMap(readAddressList),
    fromFields: from.length,
    startsWithHeader: text === '' || text.startsWith('\r\n') || /^[!-9;-~]+[ \t]*:/.test(text),
  }
}

const unfold = (text: string): string[] => (text === '' ? [] : text.replace(/\r\n(?=[ \t])/g, '').split('\r\n').filter((line) => line.trim() !== ''))

/** The mailboxes of an address list (RFC 5322 3.4): comments, names and groups are read over. */
export const readAddressList = (text: string): (Mailbox | string)[] => {
  const parts = splitList(text)
  if (parts === undefined) return [text.trim()]
  const found: (Mailbox | string)[] = []
  for (const part of parts) {
    const address = part.angle ?? part.plain.trim()
    if (address !== '') found.push(readOne(address.replace(/^@[^:]*:/, '').trim()) ?? address)
    else if (part.angle === '') found.push('<>')
  }
  return found
}

// exactly one @ outside quotes: what two programs could read as two different people is nobody's address
const readOne = (address: string): Mailbox | undefined =>
  /^(?:"(?:[^"\\]|\\.)*"|[^\s@"<>,]+)@[^\s@]+$/u.test(address) ? splitMailbox(address) : undefined

type Part = { plain: string; angle?: string }

// in a comment a quote is a character like any other (RFC 5322 3.2.2): where it counted, a comment could hide an address from us that others read
const tokenIn = { comment: /\\.|[^]/suy, text: /"(?:[^"\\]|\\.)*"|\\.|[^]/suy }

// one pass over quotes, comments and angle brackets; a comma, or a group's colon and semicolon, ends a part. Undefined where a comment does not end
const splitList = (text: string): Part[] | undefined => {
  const parts: Part[] = [{ plain: '' }]
  let depth = 0
  let angle = false
  for (let at = 0; at < text.length; ) {
    const next = depth > 0 ? tokenIn.comment : tokenIn.text
    next.lastIndex = at
    const token = next.exec(text)![0]
    at += token.length
    const part = parts.at(-1)!
    if (!angle && token === '(') depth += 1
    else if (depth > 0) depth -= token === ')' ? 1 : 0
    else if (!angle && token === '<') [angle, part.angle] = [true, part.angle === undefined ? '' : `${part.angle} `]
    else if (angle && token === '>') angle = false
    else if (angle) part.angle += token
    else if (token === ',' || token === ';') parts.push({ plain: '' })
    else if (token === ':') part.plain = ''
    else part.plain += token
  }
  return depth > 0 ? undefined : parts.filter((part) => part.angle !== undefined || part.plain.trim() !== '')
}
