// Real nats-servers with the configuration that the operator writes, TLS and logins as it makes them: on loopback, with ports of their own.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findNatsServer } from '../../cli/standalone/find-nats-server.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import type { Data } from '../../operator/plan/index.ts'
import { until } from './until.ts'

export type SecuredNats = {
  readonly urls: readonly string[]
  readonly monitorUrls: readonly string[]
  /** Writes new secrets and configuration, and starts the servers anew with them, one at a time, each when the one before is whole: as a StatefulSet does. */
  roll(secrets: Data, count?: number): Promise<void>
  stop(): Promise<void>
}

/** `secrets`: with nats.conf, as in the Secret of a queue. */
export const startSecuredNats = async (count: number, secrets: Data): Promise<SecuredNats> => {
  const { path: binary } = await findNatsServer()
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-secured-'))
  const places = await Promise.all(Array.from({ length: 5 }, async () => ({ client: await freePort(), monitor: await freePort(), cluster: await freePort() })))
  const processes = new Map<number, ChildProcess>()

  const configOf = (index: number, text: string): string => {
    const { client, monitor, cluster } = places[index]!
    return text
      .replaceAll('/etc/nats', join(folder, String(index)))
      .replace('/data/jetstream', join(folder, String(index), 'jetstream'))
      .replace('$POD_NAME', `main-queue-${index}`)
      .replace('port: 4222', `listen: 127.0.0.1:${client}`)
      .replace('http_port: 8222', `http: 127.0.0.1:${monitor}`)
      .replace('port: 6222', `listen: 127.0.0.1:${cluster}`)
      .replace(/tls:\/\/[^"]*-queue-(\d)\.[^"]*:6222/g, (_, other: string) => `tls://127.0.0.1:${places[Number(other)]!.cluster}`)
  }
  const write = (index: number, given: Data): void => {
    mkdirSync(join(folder, String(index)), { recursive: true })
    for (const [name, text] of Object.entries(given)) writeFileSync(join(folder, String(index), name), name === 'nats.conf' ? configOf(index, text) : text)
  }
  const start = (index: number): void => {
    const log = openSync(join(folder, `${index}.log`), 'a')
    processes.set(index, spawn(binary, ['--config', join(folder, String(index), 'nats.conf')], { stdio: ['ignore', log, log] }))
  }
  const end = async (index: number): Promise<void> => {
    const child = processes.get(index)
    if (child?.exitCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await gone
  }
  const isWhole = async (index: number): Promise<boolean> => fetch(`http://127.0.0.1:${places[index]!.monitor}/healthz`).then(({ ok }) => ok, () => false)
  const untilWhole = (index: number) => until(`server ${index} to be whole`, () => isWhole(index), 60_000)

  const killAll = (): void => {
    for (const child of processes.values()) child.kill('SIGKILL')
  }
  process.once('exit', killAll)
  for (let index = 0; index < count; index++) write(index, secrets)
  for (let index = 0; index < count; index++) start(index)
  for (let index = 0; index < count; index++) await untilWhole(index)
  return {
    urls: places.map(({ client }) => `tls://localhost:${client}`), // the client verifies no address
    monitorUrls: places.slice(0, count).map(({ monitor }) => `http://127.0.0.1:${monitor}`),
    roll: async (given, wanted = count) => {
      for (let index = 0; index < wanted; index++) write(index, given)
      for (let index = count; index < wanted; index++) start(index)
      for (let index = count; index < wanted; index++) await untilWhole(index)
      for (let index = count - 1; index >= 0; index--) {
        await end(index)
        start(index)
        await untilWhole(index)
      }
    },
    stop: async () => {
      killAll()
      process.off('exit', killAll)
      await Promise.all([...processes.keys()].map(end))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
