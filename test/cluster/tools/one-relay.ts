// A relay in front of a mail store that a story may take away, and mail that is followed by its subject from the 250 to the store.
import { basename, join } from 'node:path'
import type { Ctx } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { giveVolumes, removeNamespaces, talkFrom } from './posthouse.ts'
import type { Joined } from './shared.ts'

/** In the namespace mail, Ready; the store is not there yet. */
export const applyOneRelay = async (cluster: Joined, ctx: Ctx, volumes = 3): Promise<void> => {
  const { kubectl } = cluster
  await giveVolumes(cluster, basename(ctx.home).slice(0, 4), volumes)
  await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mail' } })
  if (!cluster.own) ctx.cleanup(() => removeNamespaces(cluster, 'mail'))
  await kubectl('apply', '--filename', join(import.meta.dirname, 'one-relay.yaml'))
  await untilReady(cluster)
}

export const untilReady = (cluster: Joined): Promise<unknown> => cluster.kubectl('wait', '--namespace', 'mail', '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')

/** Sends `count` mails in one session; the subjects of those answered with 250. */
export const sendMany = async (cluster: Joined, mark: string, count: number): Promise<string[]> => {
  const subjects = Array.from({ length: count }, (_, n) => `${mark}-${n}-end`)
  const lines = subjects.flatMap((subject) => ['MAIL FROM:<joe@elsewhere.example>', 'RCPT TO:<fred@browncow.example>', 'DATA', 'From: joe@elsewhere.example', `Subject: ${subject}`, '', 'hello', '.'])
  const said = await talkFrom(cluster, 'mail', 'main.mail.svc.cluster.local:25', 'EHLO client.example', ...lines, 'QUIT')
  const stored = said.match(/< 250 2\.0\.0 queued as/g)?.length ?? 0
  if (stored !== count) throw new Error(`${stored} of ${count} mails were taken:\n${said.slice(-2000)}`)
  return subjects
}

/** How often each subject arrived at the store. */
const arrivals = async ({ kubectl }: Joined, subjects: readonly string[]): Promise<number[]> => {
  const { output } = await kubectl.may('logs', 'mailstore', '-n', 'mail', '--tail=-1')
  return subjects.map((subject) => output.split(subject).length - 1)
}

/** All of them at the store; how many came more than once. */
export const untilDelivered = async (cluster: Joined, subjects: readonly string[]): Promise<number> => {
  await until(`${subjects.length} mails at the store`, async () => (await arrivals(cluster, subjects)).every((count) => count > 0), 120_000, 1000)
  return (await arrivals(cluster, subjects)).filter((count) => count > 1).length
}

export type Drained = { readonly status: string; readonly reason: string; readonly message: string }
export const conditionOf = async ({ kubectl }: Joined, type: string): Promise<Drained | undefined> => {
  const { code, stdout } = await kubectl.may('get', 'mailrelay', 'main', '-n', 'mail', '--output=json')
  if (code !== 0) return undefined
  const { status } = JSON.parse(stdout) as { status?: { conditions?: readonly (Drained & { readonly type: string })[] } }
  return status?.conditions?.find((one) => one.type === type)
}
