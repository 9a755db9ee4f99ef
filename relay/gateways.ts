// The routers of this machine, as the kernel knows them: who rewrites addresses on the way to us may do it with one of theirs. Reads /proc.
import { readFileSync } from 'node:fs'

/** Empty where the kernel does not say. */
export const gateways = (read: (file: string) => string = (file) => readFileSync(file, 'utf8')): string[] => {
  const known = (file: string, parse: (text: string) => string[]): string[] => {
    try {
      return parse(read(file))
    } catch {
      return []
    }
  }
  return [...new Set([...known('/proc/net/route', routers4), ...known('/proc/net/ipv6_route', routers6)])]
}

/** Iface Destination Gateway …: eight hex digits, the last octet first. */
const routers4 = (text: string): string[] =>
  fieldsOf(text, 2).filter((hex) => /^[0-9A-F]{8}$/i.test(hex) && Number(`0x${hex}`) !== 0).map((hex) => hex.match(/../g)!.reverse().map((octet) => Number(`0x${octet}`)).join('.'))

/** destination, length, source, length, next hop …: 32 hex digits. */
const routers6 = (text: string): string[] =>
  fieldsOf(text, 4).filter((hex) => /^[0-9a-f]{32}$/.test(hex) && /[1-9a-f]/.test(hex)).map((hex) => hex.match(/..../g)!.map((group) => Number(`0x${group}`).toString(16)).join(':'))

const fieldsOf = (text: string, at: number): string[] => text.split('\n').map((line) => line.trim().split(/\s+/)[at] ?? '')
