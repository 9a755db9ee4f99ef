// Reads a PROXY protocol header, versions 1 and 2 (haproxy proxy-protocol.txt), from the first bytes of a connection. Pure.
import { isIPv4, isIPv6 } from 'node:net'

export type ProxyHeader =
  | { readonly kind: 'more' } // so far it could become one
  | { readonly kind: 'client'; readonly address: string; readonly port: number; readonly used: number }
  | { readonly kind: 'proxy-itself'; readonly used: number } // LOCAL and UNKNOWN: the connection's own address counts
  | { readonly kind: 'bad'; readonly why: string }

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const v1Longest = 107
const v2Longest = 16 + 2048 // addresses take 216 at most; the rest are TLVs

const bad = (why: string): ProxyHeader => ({ kind: 'bad', why })

export const readProxyHeader = (bytes: Buffer): ProxyHeader => {
  const start = bytes.subarray(0, signature.length)
  if (start.equals(signature.subarray(0, start.length))) return start.length < signature.length ? { kind: 'more' } : version2(bytes)
  const opening = bytes.subarray(0, 6).toString('latin1')
  return 'PROXY '.startsWith(opening) ? version1(bytes) : bad('it does not start with a PROXY header')
}

const version1 = (bytes: Buffer): ProxyHeader => {
  const end = bytes.subarray(0, v1Longest).indexOf('\r\n')
  if (end < 0) return bytes.length >= v1Longest ? bad('the line is longer than 107 octets') : { kind: 'more' }
  const line = bytes.toString('latin1', 0, end)
  if (/^PROXY UNKNOWN(?: .*)?$/.test(line)) return { kind: 'proxy-itself', used: end + 2 }
  const [, family, from, to, fromPort, toPort] = /^PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5})$/.exec(line) ?? []
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
  if (from === undefined || !isAddress(from) || !isAddress(to!)) return bad('the addresses cannot be read')
  if (Number(fromPort) > 65535 || Number(toPort) > 65535) return bad('a port is above 65535')
  return { kind: 'client', address: from, port: Number(fromPort), used: end + 2 }
}

const version2 = (bytes: Buffer): ProxyHeader => {
  if (bytes.length < 16) return { kind: 'more' }
  const version = bytes[12]! >> 4
  const command = bytes[12]! & 15
  const used = 16 + bytes.readUInt16BE(14)
  if (version !== 2 || command > 1) return bad('version or command is unknown')
  if (used > v2Longest) return bad(`longer than ${v2Longest} octets`)
  if (bytes.length < used) return { kind: 'more' }
  return command === 0 ? { kind: 'proxy-itself', used } : version2Client(bytes.subarray(16, used), bytes[13]!, used)
}

const version2Client = (block: Buffer, family: number, used: number): ProxyHeader => {
  if (family === 0x00) return { kind: 'proxy-itself', used }
  const size = { 0x11: 4, 0x21: 16 }[family] // TCP over IPv4 or IPv6; nothing else carries mail
  if (size === undefined) return bad('neither TCP over IPv4 nor over IPv6')
  const addresses = 2 * size + 4
  if (block.length < addresses) return bad('shorter than its addresses')
  if (!tlvsFit(block.subarray(addresses))) return bad('a TLV is longer than the header')
  const from = block.subarray(0, size)
  return { kind: 'client', address: size === 4 ? from.join('.') : printSix(from), port: block.readUInt16BE(2 * size), used }
}

const tlvsFit = (tlvs: Buffer): boolean => {
  let at = 0
  while (at + 3 <= tlvs.length) at += 3 + tlvs.readUInt16BE(at + 1)
  return at === tlvs.length
}

const printSix = (bytes: Buffer): string => Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
