// Who counts as one source of connections and mail: an IPv4 address, or the /64 that one IPv6 customer has at will. Pure.
import { parseAddress } from '../snapshot/index.ts'

export const sourceOf = (text: string): string => {
  const address = parseAddress(text)
  if (address === undefined || address.family === 4) return text.replace(/^::ffff:/i, '')
  const groups = [48n, 32n, 16n, 0n].map((shift) => ((address.value >> 64n >> shift) & 0xffffn).toString(16))
  return `${groups.join(':')}::/64`
}
