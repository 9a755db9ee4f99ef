// Quoted-printable (RFC 2045 6.7) line by line: what is decoded again is byte for byte what went in. Pure.
const hex = '0123456789ABCDEF'
const widest = 76

/** One line without its CRLF, or a piece of a very long one. `isEnd`: a line break follows, so blanks at the end are encoded. */
export const encodeLine = (line: Buffer, isEnd: boolean): string => {
  let out = ''
  let column = 0
  for (let index = 0; index < line.length; index++) {
    const token = encodeByte(line[index]!, isEnd && index === line.length - 1)
    if (column + token.length >= widest) {
      out += '=\r\n' // rule 5: a soft break
      column = 0
    }
    out += token
    column += token.length
  }
  return isEnd ? out : `${out}=\r\n`
}

const encodeByte = (byte: number, isLast: boolean): string => {
  const isBlank = byte === 0x20 || byte === 0x09
  if (isBlank ? !isLast : byte > 0x20 && byte < 0x7f && byte !== 0x3d) return String.fromCharCode(byte)
  return `=${hex[byte >> 4]!}${hex[byte & 15]!}`
}
