// What `posthouse standalone` does, in order: lock, manifests, nats-server, relay, until a signal. Writes only below its data folder.
import { join, relative } from 'node:path'
import { podName, startRelay, type RunningRelay } from '../../relay/main.ts'
import { createLog } from '../../relay/report/index.ts'
import { writeSnapshot } from '../../relay/snapshot/index.ts'
import { Failure } from '../failure.ts'
import { endNotStarted } from '../not-started.ts'
import { bindBy, hostPort, refuseUnknown } from '../listen-option.ts'
import { makeFolder } from '../make-folder.ts'
import { untilSignal } from '../signals.ts'
import { complain, print, styled } from '../terminal.ts'
import { banner } from './banner.ts'
import { compileFolder, stampToday, watchFolder } from './compile.ts'
import { cacheFolder, findNatsServer, type FoundNatsServer, NatsServerNotFound } from './find-nats-server.ts'
import { keepNats, type KeptNats } from './keep-nats.ts'
import { endLeftOver, lockFolder } from './lock.ts'
import { freePort } from './nats-process.ts'
import { startSink, type RunningSink } from './sink.ts'

export type StandaloneOptions = {
  readonly file: string
  readonly relay?: string
  readonly data: string
  readonly host: string
  readonly listen: Readonly<Record<string, string>>
  readonly http: string
  readonly sink?: string
  readonly natsServer?: string
  readonly log?: string
  readonly testMxPort?: string
}

/** Resolves when it has drained and stopped. Throws Failure for what a person can mend. */
export const runStandalone = async (options: StandaloneOptions): Promise<void> => {
  const stopping = untilSignal()
  makeFolder(options.data, `--data ${options.data}`, 0o700)
  const unlock = lockFolder(options.data) // before anything is made there: whoever runs on it has its own
  const failure = await serve(options, stopping).then(() => undefined, (error: Error) => error)
  unlock()
  if (failure instanceof Failure) throw failure
  if (failure) endNotStarted(failure)
}

const serve = async (options: StandaloneOptions, stopping: Promise<NodeJS.Signals>): Promise<void> => {
  const seen = stampToday(options.file)
  const compiled = await compileFolder(options.file, options.data, options)
  refuseUnknown(options.listen, compiled)
  const found = await findServer(options)
  const snapshotFolder = join(options.data, 'snapshot')
  writeSnapshot(snapshotFolder, compiled)
  const sink = options.sink === undefined ? undefined : await startSink({ ...hostPort(options.sink), print })
  const nats = await startQueue(options, found)
  try {
    const relay = await startOnQueue(options, snapshotFolder, nats)
    print(banner({ snapshot: compiled, relay, found, options, sink, cache: cacheFolder() }))
    const watch = watchFolder(options.file, options.data, { ...options, seen }, (fresh) => {
      print(`manifests changed: revision ${writeSnapshot(snapshotFolder, fresh)} is on its way to the relay`)
    })
    await stopping
    watch.stop()
    await drain(relay, sink, nats)
  } finally {
    await nats.stop()
  }
}

const findServer = async (options: StandaloneOptions): Promise<FoundNatsServer> => {
  try {
    return await findNatsServer({ say: complain, ...(options.natsServer !== undefined && { named: options.natsServer }) })
  } catch (error) {
    throw error instanceof NatsServerNotFound ? new Failure(error.message) : error
  }
}

const startQueue = async (options: StandaloneOptions, found: FoundNatsServer): Promise<KeptNats> => {
  const folder = join(options.data, 'nats')
  await endLeftOver(folder)
  return keepNats({ binary: found.path, folder, port: await freePort(), monitorPort: await freePort() }, (line) => complain(styled('red', line)))
}

const startOnQueue = (options: StandaloneOptions, snapshotFolder: string, nats: KeptNats): Promise<RunningRelay> => {
  const pod = podName()
  const log = options.log === '-' ? createLog({ pod }) : createLog({ pod, file: options.log ?? join(options.data, 'relay.log') })
  return startRelay({
    snapshotFolder,
    natsUrls: [nats.url],
    monitorUrls: [nats.monitorUrl],
    pod,
    bind: bindBy(options),
    http: hostPort(options.http),
    adminSocket: join(relative(process.cwd(), options.data), 'admin.sock'), // short: a socket's path has 107 bytes at most
    log,
    ...(options.testMxPort !== undefined && { testMx: { port: Number(options.testMxPort), allowLoopback: true } }),
  })
}

const drain = async (relay: RunningRelay, sink: RunningSink | undefined, nats: KeptNats): Promise<void> => {
  print('\nstopping: finishing what is in flight (Ctrl-C again ends at once)')
  await relay.stop()
  await sink?.close()
  await nats.stop()
  print('stopped; what is queued goes on at the next start')
}
