// What a MailDomain's status says of its DNS records. Pure. Whether it is Ready does not hang on them: DNS is often somebody else's, and mail goes without.
import { mostInStatus, type MailDomain } from '../../../crds/index.ts'
import { zoneLine, type JudgedRecord } from '../records/index.ts'
import type { ObservedReason } from './reasons.ts'

type Shown = Omit<JudgedRecord, 'state'> & { readonly state: 'Unknown' | 'Missing' | 'Different' | 'Published' }
type Statement = { readonly type: 'RecordsPublished'; readonly status: 'True' | 'False' | 'Unknown'; readonly reason: ObservedReason; readonly message: string }

export type RecordsStatus = { readonly published: Statement; readonly requiredRecords: readonly Omit<Shown, 'why'>[] }

/** Its DNS records, as they were seen, and the algorithms whose DKIM key has none yet, for it is being made. */
export type RecordsSeen = { readonly judged: readonly JudgedRecord[]; readonly comingKeys: readonly string[] }

/** `seen` undefined: the domain is in force nowhere, or as it was, by what it does not say any more. */
export const recordsStatus = (domain: MailDomain, seen: RecordsSeen | undefined): RecordsStatus => {
  if (seen === undefined) return { published: { type: 'RecordsPublished', status: 'Unknown', reason: 'NotInForce', message: 'the domain is in force on no MailRelay by what it says now, so nothing is asked of DNS' }, requiredRecords: [] }
  const records = seen.judged.map((record) => shown(record, domain))
  return { published: { type: 'RecordsPublished', ...inWords(records, seen.comingKeys) }, requiredRecords: records.slice(0, mostInStatus.records).map(({ type, name, value, observed, state }) => ({ type, name, value, ...(observed !== undefined && { observed }), state })) }
}

/** Of what has not been looked at since the operator began, the status holds what was seen before. */
const shown = (record: JudgedRecord, { status }: MailDomain): Shown => {
  if (record.state !== undefined) return { ...record, state: record.state }
  const { requiredRecords = [] } = (status ?? {}) as { readonly requiredRecords?: readonly Shown[] }
  const before = requiredRecords.find(({ type, name, value }) => type === record.type && name === record.name && value === record.value)
  return { ...record, state: before?.state ?? 'Unknown', ...(before?.observed !== undefined && { observed: before.observed }), why: 'it has not been looked up yet' }
}

const inWords = (records: readonly Shown[], comingKeys: readonly string[]): Pick<Statement, 'status' | 'reason' | 'message'> => {
  const of = (state: Shown['state']): Shown[] => records.filter((record) => record.state === state)
  const [missing, different, unknown] = [of('Missing'), of('Different'), of('Unknown')]
  const told = [
    ...(missing.length > 0 ? [`put into the zone:\n${missing.map(zoneLine).join('\n')}`] : []),
    ...different.map((record) => `${record.name} ${record.type} differs: ${record.why ?? 'see below'}\nnow: ${record.observed ?? ''}\nneeded: ${zoneLine(record)}`),
    ...unknown.map(({ name, type, why }) => `${name} ${type} is not known: ${why ?? ''}`),
    ...comingKeys.map((algorithm) => `a DKIM key (${algorithm}) is being made; its record is named here when it is there`),
  ].join('\n')
  if (missing.length > 0) return { status: 'False', reason: 'RecordsMissing', message: told }
  if (different.length > 0) return { status: 'False', reason: 'RecordsDiffer', message: told }
  if (unknown.length + comingKeys.length > 0) return { status: 'Unknown', reason: 'RecordsUnknown', message: told }
  return { status: 'True', reason: 'RecordsPublished', message: `DNS has what is needed: ${records.length} of ${records.length} records` }
}
