// What the header section of a message says: how often it was received, whom From names, what is missing. Pure.
import { splitMailbox, type Mailbox } from './mailbox.ts'

export type HeaderFacts = {
  readonly fields: number
  readonly received: number
  readonly hasDate: boolean
  readonly hasMessageId: boolean
  readonly from: readonly (Mailbox | string)[] // a string: an address that cannot be read
  readonly fromFields: number
  readonly fromIsTooLong: boolean // so long that it was not read
  readonly start: 'header' | 'mbox-line' | 'text' // what the first line is, and so what must stand between it and the fields we put in front
}

/** Looks at a whole header section, without the empty line. */
export const readHeaderSection = (section: Buffer): Omit<HeaderFacts, 'fromIsTooLong'> => factsOf(scan(section))

/** `from`: the text of the first From; of a second nothing but its number counts. */
type Scan = Omit<HeaderFacts, 'from' | 'fromIsTooLong'> & { readonly from: readonly string[] }

const scan = (section: Buffer): Scan => {
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
    from,
    fromFields: from.length,
    start: startOf(text),
  }
}

const startOf = (text: string): Scan['start'] => {
  if (text === '' || text.startsWith('\r\n') || /^[!-9;-~]+[ \t]*:/.test(text)) return 'header'
  return mboxLine.test(text) ? 'mbox-line' : 'text'
}

// RFC 4155: sender and date as asctime writes it; some write that of RFC 5322. Less of a date may be how a text begins
const mboxLine = /^>?From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} +[A-Z][a-z]{2} +\d{4}) +\d{1,2}:\d\d/

/** Behind a first line of text everything is text. */
const factsOf = ({ from, ...rest }: Scan) =>
  rest.start === 'text' ? { fields: 0, received: 0, hasDate: false, hasMessageId: false, from: [], fromFields: 0, start: rest.start } : { ...rest, from: from.flatMap(readAddressList) }

const heldBytes = 65_536
const longestName = 1_000

/** Reads a header section as it comes. What is said by then is counted and let go, but for From: a thousand clients may each send a megabyte, slowly. */
export class HeaderReader {
  #pieces: Buffer[] = []
  #bytes = 0
  #before: Scan | undefined
  #fromIsTooLong = false

  get held(): number {
    return this.#bytes + (this.#before?.from[0]?.length ?? 0)
  }

  take(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#pieces.length > 256) this.#pieces = [Buffer.concat(this.#pieces)]
    if (this.#bytes > 2 * heldBytes) this.#letGo()
  }

  facts(): HeaderFacts {
    return { ...factsOf(this.#scanned(Buffer.concat(this.#pieces))), fromIsTooLong: this.#fromIsTooLong }
  }

  #letGo(): void {
    const all = Buffer.concat(this.#pieces)
    const last = lastField(all)
    if (last > 0) {
      const { from, ...rest } = this.#scanned(all.subarray(0, last))
      this.#before = { ...rest, from: from.slice(0, 1).map((text) => Buffer.from(text).toString()) } // a copy: a part of a string keeps the whole
    }
    const open = all.subarray(last)
    this.#pieces = [open.length > heldBytes ? this.#shortened(open) : Buffer.from(open)]
    this.#bytes = this.#pieces[0]!.length
  }

  #scanned(section: Buffer): Scan {
    const before = this.#before
    if (before === undefined) return scan(section)
    const found = scan(section)
    return {
      fields: before.fields + found.fields,
      received: before.received + found.received,
      hasDate: before.hasDate || found.hasDate,
      hasMessageId: before.hasMessageId || found.hasMessageId,
      from: [...before.from, ...found.from],
      fromFields: before.fromFields + found.fromFields,
      start: before.start,
    }
  }

  /** Its name, and whether what follows makes it a field. The last two octets stay as well: they may be half of a line's end. */
  #shortened(field: Buffer): Buffer {
    const [, name = '', blanks = '', next = ''] = /^([!-9;-~]*)([ \t\r\n]*)([^]?)/.exec(field.toString('latin1')) ?? []
    const isNone = next !== '' && next !== ':'
    if (name.toLowerCase() === 'from' && !isNone) this.#fromIsTooLong = true
    const fold = blanks.includes('\n') ? '\r\n ' : blanks.slice(0, 1)
    const start = `${name.slice(0, longestName)}${fold}${isNone ? ' ?' : next}`
    return Buffer.concat([Buffer.from(start, 'latin1'), field.subarray(-2)])
  }
}

/** Where the last field begins that has begun for certain: behind a line's end that no blank follows. */
const lastField = (section: Buffer): number => {
  for (let at = section.length - 2; at > 0; at--) {
    at = section.lastIndexOf('\r\n', at)
    const next = at < 0 ? undefined : section[at + 2]
    if (next !== undefined && next !== 0x20 && next !== 0x09) return at + 2
  }
  return 0
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
const tokenIn = { comment: /[^\\()]+|\\.|[^]/suy, text: /[^"\\(),:;<>]+|"(?:[^"\\]|\\.)*"|\\.|[^]/suy }

// one pass over quotes, comments and angle brackets; a comma, or a group's colon and semicolon, ends a part. Undefined where a comment does not end, or a group has an address for its name
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
    else if (token === ':' && /@/.test(part.plain.replace(/"(?:[^"\\]|\\.)*"/g, ''))) return undefined // many read an address in front of a colon
    else if (token === ':') part.plain = ''
    else part.plain += token
  }
  return depth > 0 ? undefined : parts.filter((part) => part.angle !== undefined || part.plain.trim() !== '')
}
