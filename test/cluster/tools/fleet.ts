// Three relay pods on three queue servers, for stories under load. It stays from story to story: the next one takes it over where the last
// left it whole and empty, and else makes it anew.
import { join } from 'node:path'
import type { Ctx } from '../../scenarios/story.ts'
import { startSink, type Sink } from '../../tools/sink.ts'
import { until } from '../../tools/until.ts'
import { giveVolumes, inRelay, install, operatorNamespace } from './posthouse.ts'
import { podsOf, type Pod } from './pods.ts'
import type { Joined } from './shared.ts'

export const namespace = 'load'
const count = 3
const ports = { here: 2626, away: 2627 }
const mark = 'posthouse.test/whole'

export type Fleet = {
  /** The Service, as reached from this side of the node. */
  readonly host: string
  /** With which the names of this story's recipients begin. */
  readonly mark: string
  /** Domains whose next host answers; and others, whose next host is told when to. */
  readonly domains: readonly string[]
  readonly awayDomains: readonly string[]
  readonly sink: Sink
  readonly away: Sink & { isAway: boolean }
  relays(): Promise<Pod[]>
  servers(): Promise<Pod[]>
  operators(): Promise<Pod[]>
  /** The CLI inside a relay pod that is ready. */
  posthouse<T>(...args: string[]): Promise<T>
  deferred(): Promise<number>
  /** Waits until three of each are ready and the queue is empty, and leaves it so to the next story. */
  leaveWhole(): Promise<void>
}

type Own = NonNullable<Joined['own']>

export const standFleet = async (cluster: Joined, ctx: Ctx): Promise<Fleet> => {
  const own = cluster.own
  if (!own) throw new Error('load comes from outside and processes are killed: that needs a cluster of our own')
  const domains = { here: named('d', 30), away: named('away', 10) }
  const began = Date.now()
  const isOld = await isWhole(cluster)
  if (!isOld) await make(cluster, own, ctx, domains)
  await cluster.kubectl('annotate', 'namespace', namespace, `${mark}-`)
  ctx.note(isOld ? 'seconds until the standing fleet was taken over' : 'seconds until a fleet was made', Math.round((Date.now() - began) / 1000))
  const sinks = await openSinks(own, ctx)
  const { spec } = await cluster.kubectl.json<{ spec: { clusterIP: string } }>('get', 'service', 'main', '--namespace', namespace)
  return { host: spec.clusterIP, mark: `${began.toString(36)}-`, domains: domains.here, awayDomains: domains.away, ...sinks, ...looksAt(cluster) }
}

const named = (prefix: string, n: number): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}.example`)

const isWhole = async ({ kubectl }: Joined): Promise<boolean> =>
  (await kubectl.may('get', 'namespace', namespace, '--output', `jsonpath={.metadata.annotations.${mark.replaceAll('.', '\\.')}}`)).stdout === 'yes'

const make = async (cluster: Joined, { net }: Own, ctx: Ctx, domains: { here: string[]; away: string[] }): Promise<void> => {
  const { kubectl } = cluster
  await install(cluster, ctx)
  await giveVolumes(cluster, namespace, count)
  await kubectl('apply', '--filename', join(import.meta.dirname, 'load.yaml'))
  const to = (port: number) => (domain: string) => ({
    apiVersion: 'posthouse.dev/v1alpha1',
    kind: 'MailDomain',
    metadata: { name: domain.split('.')[0], namespace },
    spec: { domain, inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: net.host, port, tls: { mode: 'None' } }] } } },
  })
  await kubectl.apply(...domains.here.map(to(ports.here)), ...domains.away.map(to(ports.away)))
  await kubectl('wait', '--namespace', namespace, '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')
}

/** On our side of the link to the node; a host that is away says 421 to whoever connects. */
const openSinks = async ({ net }: Own, ctx: Ctx): Promise<Pick<Fleet, 'sink' | 'away'>> => {
  const sink = await startSink({ host: net.host, port: ports.here, keepData: false })
  const away: Fleet['away'] = Object.assign(await startSink({ host: net.host, port: ports.away, keepData: false, greeting: () => (away.isAway ? '421 4.3.2 away' : undefined) }), { isAway: false })
  ctx.cleanup(() => Promise.all([sink.close(), away.close()]))
  return { sink, away }
}

const looksAt = ({ kubectl }: Joined): Pick<Fleet, 'relays' | 'servers' | 'operators' | 'posthouse' | 'deferred' | 'leaveWhole'> => {
  const relays = () => podsOf(kubectl, namespace, 'app.kubernetes.io/component=relay')
  const servers = () => podsOf(kubectl, namespace, 'app.kubernetes.io/component=queue')
  const posthouse = async <T>(...args: string[]): Promise<T> => {
    const pod = (await relays()).find(({ ready, leaving }) => ready && !leaving)
    if (pod === undefined) throw new Error('no relay pod is ready')
    return inRelay<T>(kubectl, namespace, `pod/${pod.name}`, ...args)
  }
  const rows = () => posthouse<{ ready: number; deferred: number; held: number }[]>('queue')
  const isSound = (pods: readonly Pod[]) => pods.length === count && pods.every(({ ready, leaving }) => ready && !leaving)
  return {
    relays,
    servers,
    operators: () => podsOf(kubectl, operatorNamespace, 'app.kubernetes.io/name=posthouse'),
    posthouse,
    deferred: async () => (await rows()).reduce((sum, { deferred }) => sum + deferred, 0),
    leaveWhole: async () => {
      await until('an empty queue', async () => (await rows()).length === 0, 120_000, 500)
      await until('three of each, ready', async () => isSound(await relays()) && isSound(await servers()), 300_000, 500)
      await kubectl('wait', '--namespace', namespace, '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')
      await kubectl('annotate', 'namespace', namespace, `${mark}=yes`, '--overwrite')
    },
  }
}
