// The queue's way to tell senders: settings of the snapshot in force, the pure composition, and the count of what nobody could be told.
import type { ComposeNotice, Notice } from '../queue/index.ts'
import type { Log, Metrics } from '../report/index.ts'
import { printMailbox, type Schedule, type Snapshot } from '../snapshot/index.ts'
import { composeDsn, isWanted } from './dsn.ts'

export type ComposeNoticeOptions = {
  readonly relay: () => Snapshot['relay']
  readonly schedule: () => Schedule
  readonly metrics: Metrics
  readonly log: Log
}

export const createComposeNotice = ({ relay, schedule, metrics, log }: ComposeNoticeOptions): ComposeNotice => (given) => {
  const { hostname, postmaster } = relay()
  const composed = composedOr(() => composeDsn({ hostname, schedule: schedule(), ...(postmaster !== undefined && { postmaster }) }, given), (error) => log.error('BUG', { part: 'notices', message: given.delivery.message, error: String(error.stack) }))
  const failed = given.notices.filter(({ kind }) => kind === 'failed')
  if (given.delivery.envelope.mailFrom === null && failed.length > 0) {
    metrics.doubleBounces.inc()
    log.warn('DOUBLE_BOUNCE', { message: given.delivery.message, recipients: failed.map(({ recipient }) => printMailbox(recipient.mailbox)), toPostmaster: composed !== undefined })
  }
  if (composed !== undefined) for (const kind of kindsOf(given.notices.filter(isWanted))) metrics.bounces.inc({ kind })
  return composed
}

/** What cannot be written must not cost those who settle with it. */
const composedOr = <T>(compose: () => T, onFault: (error: Error) => void): T | undefined => {
  try {
    return compose()
  } catch (error) {
    onFault(error as Error)
    return undefined
  }
}

const kindsOf = (notices: readonly Notice[]): ReadonlySet<Notice['kind']> => new Set(notices.map(({ kind }) => kind))
