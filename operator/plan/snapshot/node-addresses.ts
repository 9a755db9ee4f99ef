// The addresses of nodes, gateways and the operator that an Allow rule of the relay would mean: those never count. The others need not be told. Pure.
import { prefixesIn, type Prefix } from '../../../relay/snapshot/index.ts'
import type { RelayView } from '../view.ts'
import { allowedSourcesOf } from '../policies/policy.ts'
import { keyOf, nothingSeen, type Seen } from '../input.ts'

export const nodeAddressesOf = ({ relay, policies }: RelayView, { relays, nodeAddresses, ownAddresses = [], believeAll }: Seen = nothingSeen): string[] => {
  const gateways = relays[keyOf(relay)]?.gateways ?? []
  const allowed = prefixesIn(policies.flatMap(({ policy }) => allowedSourcesOf(policy)))
  return [...new Set([...(believeAll === true ? [] : [...nodeAddresses, ...gateways]), ...ownAddresses])].filter((text) => prefixesIn([text]).some((one) => allowed.some((other) => overlap(one, other)))).sort()
}

const overlap = (a: Prefix, b: Prefix): boolean => a.family === b.family && a.first <= b.last && b.first <= a.last
