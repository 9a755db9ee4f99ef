// The proof beside the attempts: over a whole snapshot, nobody whom no rule names may relay. Asks decide for an address in and two beside
// every range that is named, and for public ones that nobody names; what may pass is read from the rules by another way than decide's. Pure.
import { decideRecipient, type Client } from '../../relay/decide/index.ts'
import { holds, isBounded, parseAddress, prefixesIn, printAddress, type Address, type Listener, type Mailbox, type Prefix, type Snapshot } from '../../relay/snapshot/index.ts'

export type Admitted = { readonly listener: string; readonly address: string }

/** Documentation ranges and two that are in use; where a rule names one of them, it is named. */
const publicAddresses = ['192.0.2.1', '198.51.100.1', '203.0.113.1', '8.8.8.8', '100.128.0.1', '2001:db8::1', '2600::1', '64:ff9b::cb00:7101']

/** At each listener the addresses that may relay though nobody named them; none where all is well. */
export const strangersAdmitted = (snapshot: Snapshot): Admitted[] => {
  const named = namedIn(snapshot)
  const nodes = prefixesIn(snapshot.relay.nodeAddresses)
  const addresses = new Set([...publicAddresses, ...named.flatMap(addressesAround), ...nodes.map((node) => printAddress({ family: node.family, value: node.first }))])
  const mails = mailsFor(snapshot)
  return snapshot.listeners.flatMap((listener) =>
    [...addresses].filter((address) => !mayRelay(listener, parseAddress(address)!, named, nodes) && mails.some((mail) => passes(snapshot, listener, address, mail))).map((address) => ({ listener: listener.name, address })),
  )
}

export const inWords = (admitted: readonly Admitted[]): string[] => admitted.slice(0, 8).map(({ listener, address }) => `${address} at ${listener}`)

/** The same snapshot with those listeners closed: what the rules let through by mistake must not be published. */
export const closedTo = (snapshot: Snapshot, admitted: readonly Admitted[]): Snapshot => {
  const open = new Set(admitted.map(({ listener }) => listener))
  return { ...snapshot, listeners: snapshot.listeners.map((listener) => (open.has(listener.name) ? { ...listener, relayingClosed: true } : listener)) }
}

const namedIn = ({ policies }: Snapshot): Prefix[] =>
  prefixesIn(policies.filter(({ mayAllowSources, mode }) => mayAllowSources && mode === 'Enforce').flatMap(({ rules }) => rules.flatMap(({ action, match }) => (action === 'Allow' ? (match.sources ?? []) : [])))).filter(isBounded)

const mayRelay = ({ sourceAddressPreserved, relayingClosed }: Listener, address: Address, named: readonly Prefix[], nodes: readonly Prefix[]): boolean =>
  sourceAddressPreserved && !relayingClosed && named.some((prefix) => holds(prefix, address)) && !nodes.some((node) => holds(node, address))

const addressesAround = ({ family, first, last }: Prefix): string[] => {
  const end = (1n << (family === 4 ? 32n : 128n)) - 1n
  return [first, first - 1n, last + 1n].filter((value) => value >= 0n && value <= end).map((value) => printAddress({ family, value }))
}

type Mail = { readonly mailFrom: Mailbox | null; readonly rcptTo: Mailbox }

/** To a domain that is not hosted; from elsewhere, from nobody, and in the name of each of the first hosted domains. */
const mailsFor = ({ domains }: Snapshot): Mail[] => {
  const hosted = new Set(domains.map(({ domain }) => domain))
  let domain = 'far.example'
  while (hosted.has(domain)) domain = `x${domain}`
  const senders = [{ local: 'joe', domain: `from-${domain}` }, null, ...[...hosted].slice(0, 4).map((own) => ({ local: 'postmaster', domain: own }))]
  return senders.map((mailFrom) => ({ mailFrom, rcptTo: { local: 'fred', domain } }))
}

const passes = (snapshot: Snapshot, listener: Listener, address: string, mail: Mail): boolean =>
  [true, false].some((tls) => decideRecipient({ snapshot, listener, client: { address, helo: 'stranger.example', tls } satisfies Client, ...mail }).kind !== 'deny')
