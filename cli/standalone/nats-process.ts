// A nats-server child process with file storage that fsyncs before it acknowledges; loopback only.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

export type NatsOptions = {
  readonly binary: string
  readonly folder: string // data, config and log live here
  readonly port: number
  readonly monitorPort: number
  readonly cluster?: { readonly name: string; readonly port: number; readonly routes: readonly number[]; readonly serverName: string }
}

export type NatsProcess = {
  readonly url: string
  readonly monitorUrl: string
  readonly pid: number
  readonly exited: Promise<number | null>
  /** SIGTERM lets it finish; SIGKILL is a crash. Resolves when it is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  pause(): void
  resume(): void
}

/** Starts the server and resolves when it takes connections. Throws with the log's last words when it does not. */
export const startNats = async (options: NatsOptions): Promise<NatsProcess> => {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const config = join(options.folder, 'nats.conf')
  writeFileSync(config, natsConfig(options), { mode: 0o600 })
  const log = openSync(join(options.folder, 'nats.log'), 'a', 0o600)
  // its own process group: a Ctrl-C in the terminal reaches only us, and we stop the relay before its queue
  const child = spawn(options.binary, ['-c', config], { stdio: ['ignore', log, log], detached: true })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let unstarted: Error | undefined
  child.once('error', (fault) => void (unstarted = fault))
  neverLeaveBehind(child)
  const gone = (): boolean => unstarted !== undefined || child.exitCode !== null || child.signalCode !== null
  if (!(await listens(options.port, gone))) {
    child.kill('SIGKILL')
    const path = join(options.folder, 'nats.log')
    throw new Error(`nats-server did not start on port ${options.port}: ${unstarted?.message ?? lastLine(path)}; its log is ${path}`)
  }
  return {
    url: `nats://127.0.0.1:${options.port}`,
    monitorUrl: `http://127.0.0.1:${options.monitorPort}`,
    pid: child.pid!,
    exited,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      await exited
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }
}

const running = new Set<ChildProcess>()
let watching = false

/** A detached child outlives its parent: at our exit, whatever the reason, it is told to stop. */
const neverLeaveBehind = (child: ChildProcess): void => {
  if (!watching) process.once('exit', () => running.forEach((one) => one.kill('SIGTERM')))
  watching = true
  running.add(child)
  child.once('exit', () => running.delete(child))
}

const noLimit = '1TB' // the relay stops long before its volume is full; by itself the server would refuse everything, also what settles mail, at three quarters of what was free when it started

const natsConfig = ({ folder, port, monitorPort, cluster }: NatsOptions): string => `
listen: 127.0.0.1:${port}
http: 127.0.0.1:${monitorPort}
pid_file: ${JSON.stringify(join(folder, 'nats.pid'))}
max_payload: 1MB
jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))}, sync_interval: always, max_file_store: ${noLimit} }
${cluster ? `server_name: ${cluster.serverName}
cluster { name: ${cluster.name}, listen: 127.0.0.1:${cluster.port}, routes: [${cluster.routes.map((route) => `"nats://127.0.0.1:${route}"`).join(', ')}] }` : 'server_name: standalone'}
`

const listens = async (port: number, gone: () => boolean): Promise<boolean> => {
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline && !gone()) {
    if (await answers(port)) return true
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return false
}

const lastLine = (log: string): string => readFileSync(log, 'utf8').trimEnd().split('\n').at(-1) || 'it wrote nothing'

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })

/**
 * A port nobody listens on just now, and that no other process of ours was given.
 * Below those that systems give to outgoing connections, one of which could else take it before it is used.
 */
export const freePort = async (): Promise<number> => {
  for (let tried = 1; ; tried++) {
    const port = randomInt(12_000, 30_000)
    const fault = (await faultOfKeeping(port)) ?? (await faultOfListening(port))
    if (fault === undefined) return port
    if (tried === 100) throw fault
  }
}

/** Between our look and our use others look too. A name without a file, of this network namespace alone, is ours until we end; only Linux has such names. */
const faultOfKeeping = (port: number): Promise<Error | undefined> =>
  new Promise((resolve) => {
    if (process.platform !== 'linux') return resolve(undefined)
    const server = createServer((stranger) => stranger.destroy()).unref()
    server.once('error', resolve)
    server.listen(`\0posthouse-port-${port}`, () => resolve(undefined))
  })

const faultOfListening = (port: number): Promise<Error | undefined> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', resolve)
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(undefined)))
  })
