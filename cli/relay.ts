// `posthouse relay`: the process of a pod, started alone on a snapshot and a queue.
import { dirname } from 'node:path'
import type { Command } from 'commander'
import type { Snapshot } from '../relay/snapshot/index.ts'
import { Failure } from './failure.ts'
import { bindBy, hostPort, type Listen, listenOption, refuseUnknown } from './listen-option.ts'
import { makeFolder } from './make-folder.ts'
import { endNotStarted } from './not-started.ts'
import { untilSignal } from './signals.ts'

type Options = {
  readonly snapshot: string
  readonly nats: string
  readonly natsMonitor?: string
  readonly natsSecrets?: string
  readonly natsTrustSync?: boolean
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
    .option('--nats-secrets <dir>', 'folder with what of username, password, token, user.creds, ca.crt, tls.crt and tls.key the servers want; read anew for each connection')
    .option('--nats-trust-sync', 'accept though no monitoring address shows that the servers fsync')
    .option('--host <address>', 'address to listen on; ::, every one', '127.0.0.1')
    .addOption(listenOption('where one listener opens, instead of the snapshot\'s port; repeatable'))
    .option('--http <host:port>', 'metrics and health', '127.0.0.1:9464')
    .option('--socket <path>', 'admin socket', '/run/posthouse/admin.sock')
    .option('--pod <name>', 'name in leases, logs and traces (default: POD_NAME, else host and process)')
    .option('--test-mx-port <port>', 'for tests on one machine: MX hosts answer on this port and may be loopback')
    .option('--test-upkeep <seconds>', 'for tests: the queue is kept tidy that often, and half bodies go at that age')
    .action(run)
}

const run = async (options: Options): Promise<void> => {
  const stopping = untilSignal() // also while it starts: process 1 of a container never hears of a signal that it does not listen for
  const { podName, startRelay } = await import('../relay/main.ts') // loaded when wanted: other commands start faster
  const { createLog } = await import('../relay/report/index.ts')
  const pod = options.pod ?? podName()
  const log = createLog({ pod })
  makeFolder(dirname(options.socket), `--socket ${options.socket}`)
  if (Object.keys(options.listen).length > 0) refuseUnknown(options.listen, await snapshotOf(options.snapshot))
  const relay = await startRelay({
    snapshotFolder: options.snapshot,
    natsUrls: options.nats.split(','),
    monitorUrls: options.natsMonitor?.split(',') ?? [],
    ...(options.natsSecrets !== undefined && { natsSecrets: await sound(options.natsSecrets) }),
    natsTrustSync: options.natsTrustSync === true,
    pod,
    bind: bindBy(options),
    http: hostPort(options.http),
    adminSocket: options.socket,
    log,
    ...(options.testMxPort !== undefined && { testMx: { port: Number(options.testMxPort), allowLoopback: true } }),
    ...(options.testUpkeep !== undefined && { testUpkeepMs: Number(options.testUpkeep) * 1000 }),
  }).catch(endNotStarted)
  await stopping
  await relay.stop()
}

const snapshotOf = async (folder: string): Promise<Snapshot> => {
  const { readSnapshot } = await import('../relay/snapshot/index.ts')
  try {
    return readSnapshot(folder).snapshot
  } catch (error) {
    return endNotStarted(error as Error)
  }
}

const sound = async (folder: string): Promise<string> => {
  const { loginFault } = await import('../relay/queue/index.ts')
  const fault = loginFault(folder)
  if (fault !== undefined) throw new Failure(`--nats-secrets: ${fault}`)
  return folder
}
