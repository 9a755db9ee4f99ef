// From a folder of manifests to snapshots: read, plan, make what is needed, plan again. Writes only the folder of made things, and none where none is given.
import { inOrder, needsIn, nothingMade, plan, printPath, readManifests, titleOf, titleOfRef, type Condition, type Gathered, type Problem } from '../operator/index.ts'
import { parseSnapshot, type Snapshot } from '../relay/snapshot/index.ts'
import { absentSecrets, noteAbsent, standIns } from './absent-secrets.ts'
import { Failure } from './failure.ts'
import { reachedAt, type Opening } from './listen-option.ts'
import { make } from './standalone/made.ts'

export type Compiled = {
  /** By MailRelay, namespace/name; only those in force. */
  readonly snapshots: ReadonlyMap<string, Snapshot>
  readonly conditions: readonly Condition[]
  /** Everything wrong or worth knowing; nothing may run while there are errors. */
  readonly problems: readonly Problem[]
  readonly gathered: Gathered
}

/** `made` absent: nothing is made, the snapshots lack certificates, credentials and keys, and Secrets that are not here are taken for there (good for looking, not for running). */
export type CompileOptions = { readonly manifests: string; readonly made?: string; readonly now: Date } & Opening

export const compile = async ({ manifests, made: folder, now, ...opening }: CompileOptions): Promise<Compiled> => {
  if (manifests === '') throw new Failure('-f is empty: it takes the name of a folder or a file')
  const gathered = readManifests(manifests)
  const absent = folder === undefined ? absentSecrets(gathered) : []
  const declared = { ...gathered.declared, secrets: [...gathered.declared.secrets, ...(await standIns(absent, now))] }
  const given = { declared, clusterDomain: 'cluster.local' }
  const made = folder === undefined ? nothingMade : await make(needsIn(given), { folder, now, ...reachedAt(opening) })
  const { snapshots, conditions, faults } = plan({ ...given, made })
  for (const { error } of faults) throw error // a bug: here nothing runs that would have to go on
  return {
    snapshots: new Map(snapshots.map(({ relay, snapshot }) => [relay, parseSnapshot({ ...snapshot, relay: { ...snapshot.relay, queueReplicas: 1 } })])), // one server, whatever a cluster would have
    conditions,
    problems: inOrder([...gathered.problems, ...conditions.flatMap((condition) => problemOf(condition, gathered)), ...absent.map((reference) => noteAbsent(reference, gathered)), ...(folder === undefined ? [] : [...ownQueue(gathered), ...conditions.flatMap((condition) => withoutCluster(condition, gathered))])]),
    gathered,
  }
}

const problemOf = ({ object, type, status, reason, message, path = [], relay, section }: Condition, gathered: Gathered): Problem[] => {
  if (status !== 'False' || isConsequence({ reason, message, object }, gathered)) return []
  const title = titleOfRef(object)
  const about = [section, relay === undefined || message.includes(relay) ? undefined : `on MailRelay ${relay}`].filter((part) => part !== undefined).join(' ')
  return [
    {
      level: type === 'Accepted' ? 'error' : 'warning',
      code: type === 'Accepted' ? 'REFUSED' : 'NOTED',
      ...(gathered.place(title, path) ?? { file: '' }),
      object: title,
      ...(path.length > 0 && { path: printPath(path) }),
      reason,
      message: about === '' ? message : `${about}: ${message}`,
    },
  ]
}

/** Told already by a mistake of another object: saying it again would hide what is to be mended. */
const isConsequence = ({ reason, message, object }: Pick<Condition, 'reason' | 'message' | 'object'>, { mistaken }: Gathered): boolean => {
  const isMistaken = (kind: string, namespace = '') => [...mistaken].some((title) => title.startsWith(`${kind} ${namespace}`))
  if (reason === 'RelayNotAccepted' || reason === 'TargetNotAccepted') return true
  if (reason === 'RelayNotFound' && isMistaken('MailRelay', `${object.namespace}/`)) return true
  if (reason === 'FromNotAllowed' && isMistaken('MailDomain')) return true
  return [...mistaken].some((title) => message.startsWith(`${title} `))
}

/** A folder that is run: nobody here has the keys of a cluster. */
const withoutCluster = ({ object, reason, message }: Condition, gathered: Gathered): Problem[] => {
  if (reason !== 'KeysUnknown') return []
  const title = titleOfRef(object)
  return [{ level: 'warning', code: 'NOTED', ...(gathered.place(title, ['spec', 'identity', 'serviceAccountName']) ?? { file: '' }), object: title, path: 'spec.identity.serviceAccountName', reason, message: `${message}: the sender cannot identify itself; use identity: {generated: {}} without a cluster` }]
}

/** So it is where the folder is run; a cluster uses them. */
const ownQueue = ({ declared, place }: Gathered): Problem[] =>
  declared.relays
    .filter(({ spec }) => spec.queue.external !== undefined)
    .map((relay) => ({
      level: 'warning',
      code: 'NOTED',
      ...(place(titleOf(relay), ['spec', 'queue', 'external']) ?? { file: '' }),
      object: titleOf(relay),
      path: 'spec.queue.external',
      message: 'without a cluster the relay always runs a nats-server of its own; these servers are not used',
    }))

