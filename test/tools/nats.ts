// Real nats-servers for tests: one, or three as a cluster, in a folder of their own, gone when stopped.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findNatsServer } from '../../cli/standalone/find-nats-server.ts'
import { freePort, startNats, type NatsOptions, type NatsProcess } from '../../cli/standalone/nats-process.ts'

export type TestNats = {
  readonly urls: readonly string[]
  readonly monitorUrls: readonly string[]
  readonly servers: readonly NatsProcess[]
  readonly folder: string
  /** Kill one (default SIGKILL) and start it again later with the same data. */
  kill(index: number, signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  restart(index: number): Promise<void>
  stop(): Promise<void>
}

let keep = false
/** After a failure: what the servers have on disk says more than any log. */
export const keepTestNats = (): void => void (keep = true)

/** `prepare`: called with the folder of each server before it starts. */
export const startTestNats = async (count: 1 | 3 = 1, prepare: (folder: string) => void = () => {}): Promise<TestNats> => {
  const { path: binary } = await findNatsServer()
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-nats-'))
  const routes = await Promise.all(Array.from({ length: count }, freePort))
  const options: NatsOptions[] = []
  for (let index = 0; index < count; index++) {
    const cluster = { name: 'test', port: routes[index]!, routes, serverName: `n${index}` }
    options.push({ binary, folder: join(folder, `n${index}`), port: await freePort(), monitorPort: await freePort(), ...(count > 1 && { cluster }) })
  }
  for (const one of options) prepare(one.folder)
  const servers = await Promise.all(options.map(startNats))
  return {
    urls: servers.map(({ url }) => url),
    monitorUrls: servers.map(({ monitorUrl }) => monitorUrl),
    servers,
    folder,
    kill: (index, signal = 'SIGKILL') => servers[index]!.stop(signal),
    restart: async (index) => void (servers[index] = await startNats(options[index]!)),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop('SIGKILL')))
      if (keep) console.log(`the files of the queue's servers are kept: ${folder}`)
      else rmSync(folder, { recursive: true, force: true })
    },
  }
}
