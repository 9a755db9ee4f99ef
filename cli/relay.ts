// `posthouse relay`: the process of a pod, started alone on a snapshot and a queue.
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import type { RelayOptions } from '../relay/main.ts'
import { Failure } from './failure.ts'
import { bindBy, hostPort, type Listen, listenOption } from './listen-option.ts'
import { endNotStarted } from './not-started.ts'
import { untilSignal } from './signals.ts'

type Options = {
  readonly snapshot: string
  readonly nats: string
  readonly natsMonitor?: string
  readonly natsSecrets?: string
  readonly host: string
  readonly listen: Listen
  readonly http: string
  readonly socket: string
  readonly pod?: string
  readonly testMxPort?: string
  readonly testUpkeep?: string
}

export const relayCommand = (program: Command): void => {
  program
    .command('relay')
    .description('one relay process on a compiled snapshot and a NATS queue (what a pod runs)')
    .requiredOption('--snapshot <dir>', 'folder with index.json and its parts')
    .requiredOption('--nats <urls>', 'NATS servers, separated by commas')
    .option('--nats-monitor <urls>', 'their monitoring addresses, to see that they fsync; without, nothing is accepted')
    .option('--nats-secrets <dir>', 'folder with what of username, password, token, ca.crt, tls.crt and tls.key the servers want')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addOption(listenOption('where one listener opens, instead of the snapshot\'s port; repeatable'))
    .option('--http <host:port>', 'metrics and health', '127.0.0.1:9464')
    .option('--socket <path>', 'admin socket', '/run/posthouse/admin.sock')
    .option('--pod <name>', 'name in leases, logs and traces (default: POD_NAME, else host and process)')
    .option('--test-mx-port <port>', 'for tests on one machine: MX hosts answer on this port and may be loopback')
    .option('--test-upkeep <seconds>', 'for tests: the queue is kept tidy that often, and half bodies go at that age')
    .action(run)
}

const run = async (options: Options): Promise<void> => {
  const { podName, startRelay } = await import('../relay/main.ts') // loaded when wanted: other commands start faster
  const { createLog } = await import('../relay/report/index.ts')
  const pod = options.pod ?? podName()
  const log = createLog({ pod })
  makeFolderOf(options.socket)
  const relay = await startRelay({
    snapshotFolder: options.snapshot,
    natsUrls: options.nats.split(','),
    monitorUrls: options.natsMonitor?.split(',') ?? [],
    ...(options.natsSecrets !== undefined && { natsLogin: loginIn(options.natsSecrets) }),
    pod,
    bind: bindBy(options),
    http: hostPort(options.http),
    adminSocket: options.socket,
    log,
    ...(options.testMxPort !== undefined && { testMx: { port: Number(options.testMxPort), allowLoopback: true } }),
    ...(options.testUpkeep !== undefined && { testUpkeepMs: Number(options.testUpkeep) * 1000 }),
  }).catch(endNotStarted)
  await untilSignal()
  await relay.stop()
}

const makeFolderOf = (socket: string): void => {
  try {
    mkdirSync(dirname(socket), { recursive: true })
  } catch (error) {
    throw new Failure(`--socket ${socket}: ${(error as Error).message}`)
  }
}

const loginIn = (folder: string): NonNullable<RelayOptions['natsLogin']> => {
  const read = (name: string): string | undefined => {
    try {
      return readFileSync(join(folder, name), 'utf8').trim()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new Failure(`--nats-secrets ${folder}: ${(error as Error).message}`)
    }
  }
  const [user, pass, token, ca, cert, key] = ['username', 'password', 'token', 'ca.crt', 'tls.crt', 'tls.key'].map(read)
  const credentials = user !== undefined && pass !== undefined ? { user, pass } : token !== undefined ? { token } : undefined
  const tls = ca === undefined && cert === undefined ? undefined : { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
  if (credentials === undefined && tls === undefined) throw new Failure(`--nats-secrets ${folder}: holds neither username and password, nor token, nor ca.crt`)
  return { ...(credentials && { credentials }), ...(tls && { tls }) }
}
