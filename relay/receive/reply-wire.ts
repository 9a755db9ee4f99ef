// A reply as it goes on the wire (RFC 5321 4.2): one place where no CR, LF or NUL of anybody's words can split it. Pure.
import type { Reply } from '../decide/index.ts'

const longest = 510 // RFC 5321 4.5.3.1.5, without CR LF

/** ASCII without control characters: clients that never said SMTPUTF8 read it too. */
const clean = (text: string): string => (/[^\x20-\x7e]/.test(text) ? text.replace(/[\x00-\x1f\x7f]+/g, ' ').replace(/[^\x20-\x7e]/gu, '?') : text)

/** `more` become lines of their own behind the first; every line carries the codes (RFC 2034 4). */
export const printReply = ({ code, enhanced, text }: Reply, more: readonly string[] = []): string => {
  const lines = [text, ...more]
  const status = enhanced === '' ? '' : `${enhanced} `
  return lines.map((line, index) => `${`${code}${index < lines.length - 1 ? '-' : ' '}${status}${clean(line)}`.slice(0, longest)}\r\n`).join('')
}
