// The queue's way to tell senders: settings of the snapshot in force, and the pure composition.
import type { ComposeNotice } from '../queue/index.ts'
import type { Log } from '../report/index.ts'
import type { Schedule, Snapshot } from '../snapshot/index.ts'
import { composeDsn } from './dsn.ts'

export type ComposeNoticeOptions = {
  readonly relay: () => Snapshot['relay']
  readonly schedule: () => Schedule
  readonly log: Log
}

/** What cannot be written must not cost those who settle with it. */
export const createComposeNotice = ({ relay, schedule, log }: ComposeNoticeOptions): ComposeNotice => (given) => {
  const { hostname, postmaster } = relay()
  try {
    return composeDsn({ hostname, schedule: schedule(), ...(postmaster !== undefined && { postmaster }) }, given)
  } catch (error) {
    log.error('BUG', { part: 'notices', message: given.delivery.message, error: String((error as Error).stack) })
    return undefined
  }
}
