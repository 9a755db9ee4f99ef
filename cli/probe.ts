// `posthouse probe`: a troubleshooter's session with a domain's mail servers. Shows where mail would go and what each host says, as it is said.
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { InvalidArgumentError, type Command } from 'commander'
import { createResolver, type Answer, type MxRecord, type Resolver } from '../relay/dns/index.ts'
import { forbiddenByMx, hostsToAsk, interleave, wayInWords, wayOf } from '../relay/deliver/internal.ts'
import { normalDomain, splitMailbox, type Mailbox, type Snapshot } from '../relay/snapshot/index.ts'
import { Failure } from './failure.ts'
import { probeHost, type HostFinding, type ProbeSettings } from './probe-host.ts'
import { runningFolder, runningSnapshot } from './running.ts'
import { patienceMs } from './seconds.ts'
import { print, printJson, styled } from './terminal.ts'

export type ProbeOptions = {
  readonly port: string
  readonly from?: string
  readonly relayTest?: boolean
  readonly nameserver?: string
  readonly snapshot?: string
  readonly helo?: string
  readonly timeout: string
  readonly json?: boolean
}

export type ProbeResult = { readonly domain: string; readonly lookup: readonly string[]; readonly hosts: readonly HostFinding[]; readonly verdict: string; readonly ok: boolean }

export const probeCommand = (program: Command): void => {
  program
    .command('probe <domain>')
    .description('where mail for a domain goes, and what each of its mail servers says: look-up, transcript, TLS')
    .option('--port <port>', 'the port to connect to', '25')
    .option('--from <address>', 'the sender of the relay test (default: postmaster at that domain, whom a gullible host would trust)')
    .option('--relay-test', 'also try to send through each host, as a stranger, to an address that cannot exist')
    .option('--nameserver <address>', 'ask this name server: ip or ip:port (default: the relay\'s, or this machine\'s)', aNameserver)
    .option('--snapshot <dir>', 'what a relay runs now: its name servers are asked, and its way is told (the default inside its pod)')
    .option('--helo <name>', 'the name to greet with (default: this machine\'s)')
    .option('--timeout <seconds>', 'the longest wait for any one answer', '30')
    .option('--json', 'one JSON document at the end instead of the transcript')
    .action(async (domain: string, options: ProbeOptions) => {
      const result = await probe(domain, options, options.json === true ? () => {} : print)
      if (options.json === true) printJson(result)
      if (!result.ok) process.exitCode = 1
    })
}

const aNameserver = (text: string): string => {
  if (!/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\])(:\d{1,5})?$/.test(text) && isIP(text) === 0) throw new InvalidArgumentError('ip, ip:port or [ip6]:port')
  return text
}

/** `ofPod`: where a relay's pod has its snapshot, if not where ours have it. */
export const probe = async (text: string, options: ProbeOptions, say: (line: string) => void, ofPod?: string): Promise<ProbeResult> => {
  const domain = domainOf(text)
  const settings = settingsOf(domain, options, say)
  const relay = relayOf(options, say, ofPod)
  const nameservers = options.nameserver === undefined ? (relay?.relay.resolver.nameservers ?? []) : [options.nameserver]
  const resolver = createResolver({ nameservers: () => nameservers })
  const lookup: string[] = []
  const note = (line: string): void => {
    lookup.push(line)
    say(line)
  }
  const otherWay = relay && notByMx(relay, domain)
  if (otherWay !== undefined) note(`${otherWay}, not by what follows; posthouse talk HOST:PORT shows what a server says`)
  const addresses = await find(domain, resolver, note, otherWay === undefined)
  const hosts: HostFinding[] = []
  for (const { name, address } of addresses) hosts.push(await probeHost({ host: name, address }, settings))
  resolver.close()
  const { verdict, ok } = judge(domain, hosts, addresses.length > 0, options.relayTest === true)
  say('')
  say(styled(ok ? 'green' : 'red', verdict))
  return { domain, lookup, hosts, verdict, ok }
}

/** Undefined where this is no pod of a relay, or an upgrade is under way and the snapshot is of another release: a host can be probed all the same. */
const relayOf = ({ snapshot }: ProbeOptions, say: (line: string) => void, ofPod: string | undefined): Snapshot | undefined => {
  const folder = runningFolder(snapshot, ofPod)
  if (folder === undefined) return undefined
  try {
    return runningSnapshot(folder)
  } catch (error) {
    if (snapshot !== undefined) throw error
    say(`what the relay runs cannot be read, so its name servers and routes are not known here: ${(error as Error).message}`)
    return undefined
  }
}

const domainOf = (text: string): string => {
  const literal = text.replace(/^\[(?:IPv6:)?|\]$/gi, '')
  if (isIP(literal) !== 0) return `[${literal}]`
  const domain = normalDomain(text.includes('@') ? text.slice(text.lastIndexOf('@') + 1) : text)
  if (domain === undefined) throw new Failure(`${JSON.stringify(text)} is no domain; such as example.org, or an address`)
  return domain
}

const settingsOf = (domain: string, options: ProbeOptions, say: (line: string) => void): ProbeSettings => {
  const port = Number(options.port)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Failure('--port: a number from 1 to 65535')
  const from = options.from === undefined ? { local: 'postmaster', domain } : senderOf(options.from)
  return { port, from, helo: options.helo ?? hostname(), timeoutMs: patienceMs(options.timeout), relayTest: options.relayTest === true, say }
}

const senderOf = (text: string): Mailbox | null => {
  if (text === '<>' || text === '') return null
  const mailbox = splitMailbox(text)
  if (mailbox === undefined) throw new Failure(`--from ${text}: an address such as joe@example.org, or <>`)
  return mailbox
}

/** In words, where the relay does not ask DNS for the mail servers of this domain. A route of certain senders only is not seen here. */
const notByMx = (relay: Snapshot, domain: string): string | undefined => {
  const way = wayOf(relay, { domain, mailFrom: null })
  const isMx = way.kind === 'mx' || (way.kind === 'route' && way.route.nextHops.some(({ kind }) => kind === 'mx'))
  return isMx ? undefined : wayInWords(way, domain)
}

type Found = { readonly name: string; readonly address: string }

/** As the relay would look it up, and in its order but for chance; what the relay would not connect to is said and tried all the same. */
const find = async (domain: string, resolver: Resolver, note: (line: string) => void, isItsWay: boolean): Promise<Found[]> => {
  const literal = /^\[(.+)\]$/.exec(domain)?.[1]
  if (literal !== undefined) return [{ name: literal, address: literal }]
  const mx = await resolver.mx(domain)
  note(`MX ${domain}: ${mxInWords(mx)}`)
  const wanted = hostsToAsk(domain, mx)
  for (const line of wanted.notes) note(`  ${line}`)
  if (wanted.kind !== 'ask') {
    if (isItsWay) note(`  ${wanted.kind === 'later' ? `the relay would try again later (${wanted.reason.status}: ${wanted.reason.text})` : `the relay would return the mail at once (${wanted.outcome.status}: ${wanted.outcome.text})`}`)
    return []
  }
  const found: Found[] = []
  for (const { name, preference } of wanted.hosts) {
    const [v4, v6] = await Promise.all([resolver.addresses(name, 4), resolver.addresses(name, 6)])
    const addresses = isIP(name) === 0 ? interleave(recordsOf(v6), recordsOf(v4)) : [name]
    note(`  ${preference} ${name}: ${addresses.length > 0 ? addresses.join(', ') : `no address (A: ${inWords(v4)}; AAAA: ${inWords(v6)})`}`)
    for (const address of addresses) {
      const why = forbiddenByMx(address, { blocked: [], allowLoopback: false })
      if (why !== undefined) note(`    ${address} is ${why}: the relay does not connect there by MX`)
      found.push({ name, address })
    }
  }
  return found
}

const recordsOf = (answer: Answer<string>): readonly string[] => (answer.kind === 'records' ? answer.records : [])

const mxInWords = (mx: Answer<MxRecord>): string =>
  mx.kind === 'records' ? mx.records.toSorted((a, b) => a.preference - b.preference).map(({ preference, exchange }) => `${preference} ${exchange}`).join(', ') : inWords(mx)

const inWords = (answer: Answer<unknown>): string => {
  const words = { records: 'found', nodata: 'no such record', nxdomain: 'no such name', failed: '' }
  return answer.kind === 'failed' ? `failed: ${answer.why}` : words[answer.kind]
}

const judge = (domain: string, hosts: readonly HostFinding[], hasHosts: boolean, relayTest: boolean): { verdict: string; ok: boolean } => {
  if (!hasHosts) return { verdict: `${domain}: there is no host to talk to`, ok: false }
  const open = hosts.filter(({ relays }) => relays === 'yes')
  if (open.length > 0) return { verdict: `${open.map(({ host }) => host).join(', ')}: RELAYS FOR STRANGERS: a message from nobody to an address elsewhere was taken`, ok: false }
  const up = hosts.filter(({ answers }) => answers)
  const unsure = hosts.filter(({ relays }) => relays === 'unknown').map(({ host }) => host)
  const relaying = relayTest ? (unsure.length === 0 ? '; none relays for strangers' : `; could not be told for ${unsure.join(', ')} whether they relay`) : ''
  return { verdict: `${domain}: ${up.length} of ${hosts.length} addresses take mail sessions${relaying}`, ok: up.length > 0 && (!relayTest || unsure.length < hosts.length) }
}
