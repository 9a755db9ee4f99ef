// Makes the streams where they are missing and checks at every start that what is acknowledged is kept:
// the stream's settings, and that the servers sync to disk before they answer.
import { laneCount } from './lanes.ts'
import type { JetStream } from './jetstream.ts'
import type { ApiAnswer } from './jetstream-wire.ts'
import { createSubjects } from './subjects.ts'
import type { DurableAccept } from './types.ts'

export type DurableOptions = { readonly name: string; readonly replicas: 1 | 3 | 5; readonly monitorUrls?: readonly string[] | undefined; readonly trustSync?: boolean; /** Told when the stream was not there and was made, and when that was by the servers' clock. */ onMade?(at: string): void; /** Told whether it has as many lanes as this release. */ onLanes?(fit: boolean): void }

export const streamConfig = (name: string, replicas: number) => ({
  name,
  subjects: createSubjects(name).stored,
  retention: 'limits',
  storage: 'file',
  num_replicas: replicas,
  discard: 'old', // never acts: there is no limit; with schedules the server refuses `new`
  max_bytes: -1,
  max_msgs: -1,
  max_age: 0,
  max_msgs_per_subject: -1,
  max_msg_size: -1,
  max_consumers: -1,
  allow_atomic: true,
  allow_msg_schedules: true,
  allow_msg_ttl: true,
  allow_direct: true,
  duplicate_window: 120e9,
  metadata: { posthouse_lanes: String(laneCount) },
})

export const traceName = (name: string): string => `${name}_trace`

export const traceConfig = (name: string, replicas: number, limits: { days: number; bytes: number }) => ({
  name: traceName(name),
  subjects: [`${name}_trace.>`],
  retention: 'limits',
  storage: 'file',
  num_replicas: replicas,
  discard: 'old',
  max_bytes: limits.bytes,
  max_age: limits.days * 86_400e9,
  allow_atomic: true,
  allow_direct: true,
})

const no = (reason: string, text: string): DurableAccept => ({ ok: false, reason, text })

/** undefined: the servers do not answer; ask again. */
export const checkDurable = async (stream: Pick<JetStream, 'api' | 'maxPayload'>, options: DurableOptions): Promise<DurableAccept | undefined> => {
  const wanted = streamConfig(options.name, options.replicas)
  const found = await makeStream(stream, wanted)
  if (!found) return undefined
  if (found.did_create === true) options.onMade?.(String(found.created))
  if (found.error) return found.error.code === 503 ? undefined : no('StreamRefused', `the servers refuse the stream ${options.name}: ${found.error.description}`)
  options.onLanes?.(lanesIn(found.config as Record<string, unknown>) === String(laneCount))
  const wrong = [...differences(wanted, found.config as Record<string, unknown>), ...tooSmall(stream.maxPayload())]
  if (wrong.length > 0) return no('StreamMismatch', `the stream ${options.name} is not as it must be: ${wrong.join('; ')}`)
  return syncOf(options)
}

/** A stream kept by fewer servers than wanted is given more, where there are as many: a queue may grow, and never shrinks by itself. */
export const makeStream = async (stream: Pick<JetStream, 'api'>, config: { readonly name: string; readonly num_replicas: number }): Promise<ApiAnswer | undefined> => {
  const info = await stream.api(`STREAM.INFO.${config.name}`)
  if (info?.config && (info.config as { num_replicas: number }).num_replicas < config.num_replicas) return grow(stream, info, config)
  if (!info || info.error?.code !== 404) return info
  const made = await stream.api(`STREAM.CREATE.${config.name}`, config)
  if (!made?.error) return made
  const other = await stream.api(`STREAM.INFO.${config.name}`) // another process may have been first
  return other?.config === undefined ? made : other
}

const grow = async (stream: Pick<JetStream, 'api'>, info: ApiAnswer, { name, num_replicas }: { readonly name: string; readonly num_replicas: number }): Promise<ApiAnswer> => {
  const grown = await stream.api(`STREAM.UPDATE.${name}`, { ...(info.config as object), num_replicas })
  return grown?.config === undefined ? info : grown // servers that are not there yet: asked again at the next look
}

/** Every setting on which the promise rests, with what was found. */
const differences = (wanted: ReturnType<typeof streamConfig>, found: Record<string, unknown>): string[] => {
  const keys = ['retention', 'storage', 'max_bytes', 'max_msgs', 'max_msgs_per_subject', 'max_msg_size', 'max_consumers', 'allow_atomic', 'allow_msg_schedules', 'allow_msg_ttl', 'allow_direct', 'duplicate_window'] as const
  const wrong = keys.filter((key) => found[key] !== wanted[key]).map((key) => `${key} is ${String(found[key])}, not ${String(wanted[key])}`)
  if (Number(found.num_replicas) < wanted.num_replicas) wrong.push(`num_replicas is ${Number(found.num_replicas)}, not ${wanted.num_replicas}`)
  if (Number(found.max_age ?? 0) !== 0) wrong.push(`max_age is ${Number(found.max_age)}, not 0`)
  for (const key of ['deny_delete', 'deny_purge']) if (found[key] === true) wrong.push(`${key} is set`)
  if (found.subject_delete_marker_ttl !== undefined) wrong.push('subject_delete_marker_ttl is set')
  const lanes = lanesIn(found)
  if (lanes !== String(laneCount)) wrong.push(`it has ${lanes ?? 'no'} lanes, this release ${laneCount}`)
  const subjects = new Set(found.subjects as string[])
  if (wanted.subjects.some((subject) => !subjects.has(subject))) wrong.push('its subjects are others')
  return wrong
}

const lanesIn = ({ metadata }: Record<string, unknown>): string | undefined => (metadata as Record<string, string> | undefined)?.posthouse_lanes

/** What is settled may need records of nearly that size: one that is never taken would keep everything after it waiting. */
const leastPayload = 1_000_000
const tooSmall = (maxPayload = leastPayload): string[] => (maxPayload < leastPayload ? [`max_payload of its servers is ${maxPayload}, not ${leastPayload} or more`] : [])

/** Two majorities have a server in common: where one syncs first, so does at least one of those that stored a message. */
const syncOf = async ({ monitorUrls = [], trustSync = false, replicas }: DurableOptions): Promise<DurableAccept> => {
  const stored = `stored on ${replicas === 1 ? 'one server' : `a majority of ${replicas} servers`}`
  if (monitorUrls.length === 0) {
    if (trustSync) return { ok: true, reason: 'SyncTrusted', text: 'that the servers sync to disk is taken on trust: no monitoring address is known' }
    return no('SyncUnknown', 'no monitoring address of the servers is known, so that nobody can see whether they sync to disk before they answer')
  }
  const seen = await Promise.all(monitorUrls.map(syncAlways))
  const silent = monitorUrls.filter((_, index) => seen[index] === undefined)
  const synced = seen.filter((one) => one === true).length
  if (seen.includes(false)) return no('SyncNotAlways', `sync_interval is not "always" on ${monitorUrls.filter((_, index) => seen[index] === false).join(', ')}: a power cut would lose acknowledged mail`)
  if (synced <= monitorUrls.length / 2) return no('SyncUnknown', `${synced} of ${monitorUrls.length} servers say that they sync to disk, which is no majority; no word from ${silent.join(', ')}`)
  if (synced <= replicas / 2) return { ok: true, reason: 'SyncTrusted', text: `${stored}; that they sync to disk is seen of ${synced} and taken on trust of the others: no monitoring address of theirs is known` }
  return { ok: true, reason: 'Durable', text: `${stored}, synced to disk before the answer` }
}

const syncAlways = async (url: string): Promise<boolean | undefined> => {
  try {
    const answer = await fetch(new URL('/jsz?config=1', url), { signal: AbortSignal.timeout(3_000) })
    const { config } = (await answer.json()) as { config?: { sync_always?: boolean } }
    return config === undefined ? undefined : config.sync_always === true
  } catch {
    return undefined
  }
}
