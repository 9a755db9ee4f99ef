// Walks a message in MIME (RFC 2045, 2046) line by line and says which part every line belongs to. Pure; holds one header section at most.
export type Part = {
  readonly index: number
  readonly type: string // "text/plain", lower case
  readonly encoding: string // "7bit" where none is named
  readonly header: Buffer // with its empty line
  readonly isTop: boolean
  readonly isSealed: boolean // within multipart/signed or encrypted, where nothing may change (RFC 1847 2.1)
  readonly boundary?: string
}

/** What a stretch of the message is. `line` has its CRLF where `isEnd`. */
export type Stretch =
  | { readonly kind: 'header'; readonly part: Part }
  | { readonly kind: 'body'; readonly part: Part; readonly line: Buffer; readonly isEnd: boolean }
  | { readonly kind: 'frame'; readonly line: Buffer } // boundaries, preamble, epilogue

export type WalkFault = { readonly kind: 'fault'; readonly why: string }

const longestHeader = 256 * 1024
const longestPiece = 16 * 1024
const deepest = 50
const plainText = 'text/plain'

export class MimeWalker {
  #rest = Buffer.alloc(0)
  #header: Buffer[] | undefined = [] // lines of the header being read
  #headerBytes = 0
  #part: Part | undefined // the leaf whose body is being read
  #isSealed = false
  #usual = plainText // type of a part that names none
  #count = 0
  #atLineStart = true
  readonly #stack: { readonly delimiter: Buffer; readonly sealedBefore: boolean; readonly sealed: boolean; readonly usual: string }[] = []

  feed(chunk: Buffer): (Stretch | WalkFault)[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const out: (Stretch | WalkFault)[] = []
    let at = 0
    for (;;) {
      const lf = this.#rest.indexOf(0x0a, at)
      const end = lf >= 0 ? lf + 1 : this.#rest.length - at > longestPiece ? at + longestPiece : -1
      if (end < 0) break
      this.#take(this.#rest.subarray(at, end), lf >= 0, out)
      at = end
    }
    this.#rest = this.#rest.subarray(at)
    return out
  }

  end(): (Stretch | WalkFault)[] {
    const out: (Stretch | WalkFault)[] = []
    if (this.#rest.length > 0) this.#take(this.#rest, false, out)
    if (this.#header !== undefined) this.#endHeader(out) // a message without a body
    this.#rest = Buffer.alloc(0)
    return out
  }

  #take(line: Buffer, isEnd: boolean, out: (Stretch | WalkFault)[]): void {
    const startsLine = this.#atLineStart
    this.#atLineStart = isEnd
    if (startsLine && this.#isBoundary(line, out)) return
    if (this.#header !== undefined) return this.#takeHeader(line, out)
    out.push(this.#part === undefined ? { kind: 'frame', line } : { kind: 'body', part: this.#part, line, isEnd })
  }

  #takeHeader(line: Buffer, out: (Stretch | WalkFault)[]): void {
    this.#header!.push(line)
    this.#headerBytes += line.length
    if (this.#headerBytes > longestHeader) out.push({ kind: 'fault', why: 'a part has a header of more than 256 KiB' })
    else if (line.length <= 2 && /^\r?\n$/.test(line.toString('latin1'))) this.#endHeader(out)
  }

  /** A delimiter of any multipart we are in ends all that lie within it (RFC 2046 5.1.2). */
  #isBoundary(line: Buffer, out: (Stretch | WalkFault)[]): boolean {
    if (line[0] !== 0x2d || line[1] !== 0x2d) return false
    const depth = this.#stack.findLastIndex(({ delimiter }) => isDelimiter(line, delimiter))
    if (depth < 0) return false
    if (this.#header !== undefined) this.#endHeader(out)
    const { delimiter, sealedBefore, sealed, usual } = this.#stack[depth]!
    const isClose = line.subarray(delimiter.length, delimiter.length + 2).toString('latin1') === '--'
    this.#stack.length = isClose ? depth : depth + 1
    this.#isSealed = isClose ? sealedBefore : sealed
    this.#usual = usual
    this.#part = undefined
    this.#header = isClose ? undefined : []
    this.#headerBytes = 0
    out.push({ kind: 'frame', line })
    return true
  }

  #endHeader(out: (Stretch | WalkFault)[]): void {
    const header = Buffer.concat(this.#header!)
    const part = describe(header, this.#count++, this.#isSealed, this.#usual)
    this.#header = undefined
    this.#usual = plainText
    out.push({ kind: 'header', part })
    if (part.type.startsWith('multipart/')) this.#enter(part, out)
    else if (part.type === 'message/rfc822' || part.type === 'message/global') this.#enterMessage(part)
    else this.#part = part
  }

  #enter(part: Part, out: (Stretch | WalkFault)[]): void {
    if (part.boundary === undefined) return void out.push({ kind: 'fault', why: 'a multipart without a boundary' })
    if (this.#stack.length >= deepest) return void out.push({ kind: 'fault', why: `parts nested more than ${deepest} deep` })
    const sealed = this.#isSealed || part.type === 'multipart/signed' || part.type === 'multipart/encrypted'
    this.#stack.push({ delimiter: Buffer.from(`--${part.boundary}`, 'latin1'), sealedBefore: this.#isSealed, sealed, usual: part.type === 'multipart/digest' ? 'message/rfc822' : plainText })
    this.#isSealed = sealed
    this.#part = undefined
  }

  /** The body of message/rfc822 is a message: its header is next. An encoded one is a leaf. */
  #enterMessage(part: Part): void {
    if (part.encoding === 'base64' || part.encoding === 'quoted-printable') {
      this.#part = part
      return
    }
    this.#part = undefined
    this.#header = []
    this.#headerBytes = 0
  }
}

const isDelimiter = (line: Buffer, delimiter: Buffer): boolean =>
  line.length >= delimiter.length && line.subarray(0, delimiter.length).equals(delimiter) && /^(--)?[ \t]*\r?\n?$/.test(line.subarray(delimiter.length).toString('latin1'))

/** `usual`: RFC 2046 5.1.5. */
const describe = (header: Buffer, index: number, isSealed: boolean, usual: string): Part => {
  const text = header.toString('latin1').replace(/\r?\n[ \t]+/g, ' ')
  const contentType = field(text, 'content-type') ?? usual
  const type = /^\s*([!#$&^_.+a-z0-9-]+\/[!#$&^_.+a-z0-9-]+)/i.exec(contentType)?.[1]?.toLowerCase() ?? plainText
  const named = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(contentType)
  const boundary = named?.[1]?.replace(/\\(.)/g, '$1') ?? named?.[2]
  return {
    index, type, header, isTop: index === 0, isSealed,
    encoding: (field(text, 'content-transfer-encoding') ?? '7bit').replace(/\([^()]*\)/g, '').trim().toLowerCase(),
    ...(boundary !== undefined && boundary !== '' && { boundary }),
  }
}

const field = (unfolded: string, name: string): string | undefined => new RegExp(`(?:^|\\n)${name}[ \\t]*:([^\\r\\n]*)`, 'i').exec(unfolded)?.[1]
