// Three nats-servers as one cluster, each on a host of a network that the test can cut; ports and settings as the operator's.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findNatsServer } from '../../cli/standalone/find-nats-server.ts'
import { openJetStream } from '../../relay/queue/jetstream.ts'
import { startChild, type Child } from './child.ts'
import type { Host } from './own-network.ts'
import { until } from './until.ts'

export type DistantNats = {
  readonly hosts: readonly Host[]
  readonly urls: readonly string[]
  readonly monitorUrls: readonly string[]
  /** To which server a process on this host is connected. */
  serverOf(client: Host): Promise<Host | undefined>
  /** Who leads the stream, as one server sees it. */
  leader(stream: string, seenBy: Host): Promise<string | undefined>
  /** Makes `host` the leader, and waits until all see it so. */
  lead(stream: string, host: Host): Promise<void>
  stop(): Promise<void>
}

const ports = { client: 4222, monitor: 8222, cluster: 6222 }

export const startDistantNats = async (folder: string, hosts: readonly Host[]): Promise<DistantNats> => {
  const { path } = await findNatsServer()
  const children = hosts.map((host) => startServer(path, join(folder, host.name), host, hosts))
  const urls = hosts.map(({ address }) => `nats://${address}:${ports.client}`)
  await Promise.all(hosts.map((host, index) => until(`the server on ${host.name} is whole`, () => isWhole(host, children[index]!), 60_000)))
  return {
    hosts,
    urls,
    monitorUrls: hosts.map(monitorOf),
    serverOf: (client) => serverOf(client, hosts),
    leader: leaderOf,
    lead: (stream, host) => makeLeader({ urls, stream, hosts, host }),
    stop: async () => void (await Promise.all(children.map((child) => child.stop()))),
  }
}

const startServer = (binary: string, folder: string, host: Host, all: readonly Host[]): Child => {
  mkdirSync(folder, { recursive: true })
  const config = join(folder, 'nats.conf')
  writeFileSync(config, configOf(host, folder, all))
  const [command, ...args] = [...host.enter, binary, '-c', config]
  return startChild(command, args, { log: join(folder, 'nats.log') })
}

const configOf = ({ name, address }: Host, folder: string, all: readonly Host[]): string => `
server_name: ${name}
listen: ${address}:${ports.client}
http: ${address}:${ports.monitor}
max_payload: 1MB
cluster { name: main, listen: ${address}:${ports.cluster}, routes: [${all.map((one) => `"nats://${one.address}:${ports.cluster}"`).join(', ')}] }
jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))}, sync_interval: always }
`

const monitorOf = ({ address }: Host): string => `http://${address}:${ports.monitor}`

const isWhole = async (host: Host, child: Child): Promise<boolean> => {
  if (!child.running()) throw new Error(`it ended:\n${child.output().slice(-2000)}`)
  return (await fetch(`${monitorOf(host)}/healthz`)).ok
}

const serverOf = async ({ address }: Host, servers: readonly Host[]): Promise<Host | undefined> => {
  const connected = await Promise.all(servers.map(async (server) => ((await (await fetch(`${monitorOf(server)}/connz`)).json()) as Connz).connections.some(({ ip }) => ip === address)))
  return servers[connected.indexOf(true)]
}
type Connz = { readonly connections: readonly { readonly ip: string }[] }

type Jsz = { readonly account_details?: readonly { readonly stream_detail?: readonly { readonly name: string; readonly cluster?: { readonly leader?: string } }[] }[] }

const leaderOf = async (stream: string, seenBy: Host): Promise<string | undefined> => {
  const { account_details: accounts = [] } = (await (await fetch(`${monitorOf(seenBy)}/jsz?streams=1`)).json()) as Jsz
  return accounts.flatMap(({ stream_detail: streams = [] }) => streams).find(({ name }) => name === stream)?.cluster?.leader
}

const makeLeader = async ({ urls, stream, hosts, host }: { urls: readonly string[]; stream: string; hosts: readonly Host[]; host: Host }): Promise<void> => {
  const jetStream = openJetStream({ servers: urls, name: stream })
  const leads = async (): Promise<boolean> => (await Promise.all(hosts.map((one) => leaderOf(stream, one)))).every((name) => name === host.name)
  try {
    await until(`${host.name} to lead ${stream}`, async () => {
      if (await leads()) return true
      await jetStream.api(`STREAM.LEADER.STEPDOWN.${stream}`, { placement: { preferred: host.name } })
      return false
    }, 30_000, 500)
  } finally {
    await jetStream.close()
  }
}
