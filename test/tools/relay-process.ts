// Starts relays as a person or a pod would: a standalone from manifests, or several relay processes on one queue. Free ports, loopback, one folder.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileFolder } from '../../cli/standalone/compile.ts'
import { endLeftOver } from '../../cli/standalone/lock.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { askAdmin } from '../../relay/report/internal.ts'
import type { DomainSummary, QueueEntry, TraceEvent } from '../../relay/queue/index.ts'
import { writeSnapshot, type Snapshot } from '../../relay/snapshot/index.ts'
import { runChild, startChild, type Child } from './child.ts'
import type { Host } from './own-network.ts'
import { until } from './until.ts'

const root = join(import.meta.dirname, '../..')
const cli = join(root, 'bin/posthouse.mjs')

/** One running relay, whichever way it was started. */
export type Relay = {
  readonly name: string
  readonly host: string
  readonly ports: Readonly<Record<string, number>> // by listener
  readonly httpPort: number
  readonly child: Child
  log(): LogLine[]
  ready(): Promise<boolean>
  /** What it says of its readiness: "ready", or why not, or what is the matter all the same. */
  readiness(): Promise<string>
  /** A call of the admin socket, as the CLI makes it. */
  ask<T>(call: string, args?: Record<string, unknown>): Promise<T>
  /** The CLI itself, against this relay. */
  posthouse(...args: string[]): Promise<{ code: number; output: string }>
  /** Highest resident memory so far, in MiB. */
  peakMemory(): number
  memory(): number
  kill(): Promise<void>
  stop(patienceMs?: number): Promise<number>
}
export type LogLine = { readonly code: string; readonly time: string } & Readonly<Record<string, unknown>>

/** Copies the manifests of a scenario, with the ports (and other words) of this run in place of those written there. */
export const copyManifests = (from: string, to: string, replace: Readonly<Record<string, string | number>> = {}): string => {
  mkdirSync(to, { recursive: true })
  for (const file of readdirSync(from).filter((name) => name.endsWith('.yaml'))) {
    const text = readFileSync(join(from, file), 'utf8')
    writeFileSync(join(to, file), Object.entries(replace).reduce((sum, [word, by]) => sum.replaceAll(new RegExp(`(?<![0-9A-Za-z])${word}(?![0-9A-Za-z])`, 'g'), String(by)), text))
  }
  return to
}

/** Adds `count` hosted domains d0.example, d1.example … that all go to one port, so that mail lies in many lanes. Returns their names. */
export const addDomains = (manifests: string, count: number, port: number, host = '127.0.0.1'): string[] => {
  const names = Array.from({ length: count }, (_, n) => `d${n}.example`)
  const one = (domain: string): string =>
    `apiVersion: posthouse.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: ${domain.split('.')[0]}, namespace: mail}\nspec:\n  domain: ${domain}\n  inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: ${host}, port: ${port}, tls: {mode: None}}]}}\n`
  writeFileSync(join(manifests, 'domains.yaml'), names.map(one).join('---\n'))
  return names
}

export type Standalone = Relay & {
  /** User name and password of a MailSender (namespace/name), as the standalone made them. */
  credential(sender: string): { username: string; password: string }
  readonly data: string
}

/** `posthouse standalone` on manifests; ready to take mail when this resolves. Starting again on the same folder goes on with its queue. */
export const startStandalone = async (options: { folder: string; manifests: string; listeners?: readonly string[]; args?: readonly string[]; env?: NodeJS.ProcessEnv; ports?: Readonly<Record<string, number>> }): Promise<Standalone> => {
  const data = join(options.folder, 'data')
  const ports = options.ports ?? (await portsFor(options.listeners ?? ['mx', 'submission']))
  const httpPort = await freePort()
  const listen = Object.entries(ports).flatMap(([name, port]) => ['--listen', `${name}=127.0.0.1:${port}`])
  mkdirSync(options.folder, { recursive: true })
  const args = [cli, 'standalone', '-f', options.manifests, '--data', data, '--http', `127.0.0.1:${httpPort}`, ...listen, ...(options.args ?? [])]
  const child = startChild(process.execPath, args, { log: join(options.folder, 'standalone.out'), ...(options.env && { env: options.env }) })
  const relay = relayOf({ name: 'standalone', host: loopback.address, child, ports, httpPort, socket: join(data, 'admin.sock'), logFile: join(data, 'relay.log') })
  await untilReady(relay)
  return {
    ...relay,
    data,
    credential: (sender) => credentialIn(join(data, 'made'), sender),
    kill: async () => {
      await relay.kill()
      process.once('exit', () => killNats(data))
    },
    stop: async (patienceMs) => {
      const code = await relay.stop(patienceMs)
      await endLeftOver(join(data, 'nats'))
      return code
    },
  }
}

export type RelayFleet = {
  readonly relays: Relay[]
  readonly snapshot: Snapshot
  ports(listener?: string): number[]
  /** User name and password of a MailSender (namespace/name). */
  credential(sender: string): { username: string; password: string }
  /** Starts number `index` again on its ports. */
  restart(index: number): Promise<Relay>
  stop(): Promise<void>
}

const loopback: Pick<Host, 'address' | 'enter'> = { address: '127.0.0.1', enter: [] }

/** `count` processes of `posthouse relay` on one queue, as pods would be. */
export const startFleet = async (options: {
  folder: string
  manifests: string
  nats: { readonly urls: readonly string[]; readonly monitorUrls: readonly string[] }
  count: number
  /** One for each; all on loopback where not said. */
  hosts?: readonly Host[]
  listeners?: readonly string[]
  args?: readonly string[]
  replicas?: 1 | 3
  change?: (snapshot: Snapshot) => Snapshot
}): Promise<RelayFleet> => {
  mkdirSync(options.folder, { recursive: true })
  const compiled = await compileFolder(options.manifests, join(options.folder, 'data'))
  const replicas = options.replicas ?? (options.nats.urls.length === 3 ? 3 : 1)
  const change = options.change ?? ((same: Snapshot) => same)
  const snapshot = change({ ...compiled, relay: { ...compiled.relay, queueReplicas: replicas } })
  const snapshotFolder = join(options.folder, 'snapshot')
  writeSnapshot(snapshotFolder, snapshot)
  const places = await Promise.all(Array.from({ length: options.count }, async () => ({ ports: await portsFor(options.listeners ?? ['mx', 'submission']), httpPort: await freePort() })))
  const startOne = async (index: number): Promise<Relay> => {
    const { ports, httpPort } = places[index]!
    const name = `relay-${index}`
    const socket = join(options.folder, `${name}.sock`)
    const { address: host, enter } = options.hosts?.[index] ?? loopback
    const listen = Object.entries(ports).flatMap(([listener, port]) => ['--listen', `${listener}=${host}:${port}`])
    const servers = ['--nats', options.nats.urls.join(','), '--nats-monitor', options.nats.monitorUrls.join(',')]
    const [command, ...args] = [...enter, process.execPath, cli, 'relay', '--snapshot', snapshotFolder, ...servers, '--http', `${host}:${httpPort}`, '--socket', socket, '--pod', name, ...listen, ...(options.args ?? [])]
    const log = join(options.folder, `${name}.log`)
    const relay = relayOf({ name, host, child: startChild(command!, args, { log }), ports, httpPort, socket, logFile: log })
    await untilReady(relay)
    return relay
  }
  const relays = await Promise.all(places.map((_, index) => startOne(index)))
  return {
    relays,
    snapshot,
    ports: (listener = 'mx') => relays.map((relay) => relay.ports[listener]!),
    credential: (sender) => credentialIn(join(options.folder, 'data', 'made'), sender),
    restart: async (index) => (relays[index] = await startOne(index)),
    stop: async () => void (await Promise.all(relays.map((relay) => relay.stop(20_000)))),
  }
}

/** What waits anywhere in the queue, by recipient. */
export const queuedRecipients = async (relay: Relay): Promise<string[]> => (await relay.ask<QueueEntry[]>('list', { limit: 1_000_000 })).flatMap(({ recipients }) => recipients)

export const queueLength = async (relay: Relay): Promise<number> =>
  (await relay.ask<DomainSummary[]>('summary')).reduce((sum, { ready, deferred, held }) => sum + ready + deferred + held, 0)

export const traceOf = (relay: Relay, message: string): Promise<TraceEvent[]> => relay.ask<TraceEvent[]>('trace', { id: message })

/** The id in "250 2.0.0 queued as …". */
export const idIn = (reply: string): string => {
  const found = /queued as ([^\s;]+)/.exec(reply)
  if (!found) throw new Error(`no id in ${reply}`)
  return found[1]!
}

const relayOf = (given: { name: string; host: string; child: Child; ports: Readonly<Record<string, number>>; httpPort: number; socket: string; logFile: string }): Relay => {
  const { host, child, httpPort, socket } = given
  return {
    ...given,
    log: () => readLog(given.logFile),
    ready: async () => (await fetch(`http://${host}:${httpPort}/readyz`, { signal: AbortSignal.timeout(20_000) })).status === 200,
    readiness: async () => (await (await fetch(`http://${host}:${httpPort}/readyz`)).text()).trimEnd(),
    ask: async <T>(call: string, args: Record<string, unknown> = {}) => (await askAdmin(socket, call, args)) as T,
    posthouse: (...args) => runChild(process.execPath, [cli, ...args], { mayFail: true, env: { POSTHOUSE_SOCKET: socket, NO_COLOR: '1' } }),
    peakMemory: () => memoryOf(child.pid, 'VmHWM'),
    memory: () => memoryOf(child.pid, 'VmRSS'),
    kill: async () => {
      child.signal('SIGKILL')
      await child.exited
    },
    stop: (patienceMs = 90_000) => child.stop(patienceMs),
  }
}

const untilReady = (relay: Relay): Promise<true> =>
  until(
    `${relay.name} to be ready, its queue answering`,
    async () => {
      if (!relay.child.running()) throw new Error(`it ended:\n${relay.child.output().slice(-4000)}`)
      const durable = await relay.ask<{ durable: { ok: boolean } }>('status')
      return durable.durable.ok && (await relay.ready()) ? true : undefined
    },
    60_000,
  )

const portsFor = async (listeners: readonly string[]): Promise<Record<string, number>> => Object.fromEntries(await Promise.all(listeners.map(async (name) => [name, await freePort()] as const)))

const readLog = (file: string): LogLine[] => {
  try {
    const whole = readFileSync(file, 'utf8').split('\n').slice(0, -1) // the last line may be half written
    return whole.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [] // not yet there
    throw error
  }
}

/** In MiB; 0 where there is no such process. */
export const memoryOf = (pid: number, field: 'VmHWM' | 'VmRSS'): number => {
  try {
    return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

const killNats = (data: string): void => {
  try {
    const pid = Number(readFileSync(join(data, 'nats', 'nats.pid'), 'utf8'))
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data)) process.kill(pid, 'SIGKILL')
  } catch {
    // gone already
  }
}

const credentialIn = (made: string, sender: string): { username: string; password: string } => {
  const read = (name: string): string => readFileSync(join(made, 'senders', sender.replace('/', '.'), name), 'utf8').trim()
  return { username: read('username'), password: read('password') }
}
