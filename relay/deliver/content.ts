// The bytes of a message as a delivery sends them: in one piece where they are small, else read piece by piece.
import type { BodySource } from '../queue/index.ts'

export type Content = {
  readonly bytes: number | undefined // undefined: not known before it is read
  readonly head: Buffer // the whole header section, or its first 64 KiB
  readonly whole?: Buffer
  open(): AsyncIterable<Buffer>
}

export const contentOf = async (body: BodySource, bytes: number): Promise<Content> => {
  const head = await body.head()
  return head.length >= bytes ? wholeContent(head) : { bytes, head, open: () => body.open() as AsyncIterable<Buffer> }
}

export const wholeContent = (whole: Buffer): Content => ({
  bytes: whole.length,
  head: whole,
  whole,
  async *open() {
    yield whole
  },
})

/** The same message with header lines before it. */
export const withHeaders = (content: Content, headers: Buffer): Content => {
  if (headers.length === 0) return content
  if (content.whole !== undefined) return wholeContent(Buffer.concat([headers, content.whole]))
  return {
    bytes: content.bytes === undefined ? undefined : content.bytes + headers.length,
    head: Buffer.concat([headers, content.head]),
    async *open() {
      yield headers
      yield* content.open()
    },
  }
}

/** The header section with its last CRLF, without the empty line. */
export const headerSection = (head: Buffer): Buffer => {
  if (head[0] === 0x0d && head[1] === 0x0a) return head.subarray(0, 0)
  const end = head.indexOf('\r\n\r\n')
  return end < 0 ? head : head.subarray(0, end + 2)
}
