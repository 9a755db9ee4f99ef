// A delivery whose bytes are not there any more, or are not those that were accepted: what was promised to be kept is not, so it is told
// in the log, to an alert and in the timeline, and the delivery waits on hold for a person. Writes only the log and a metric.
import { printMailbox } from '../snapshot/index.ts'
import type { Context } from './context.ts'
import type { QueueError } from './errors.ts'
import type { Delivery, Settlement } from './types.ts'

type Lost = { readonly delivery: Delivery; readonly settlement: Settlement | undefined; readonly fault: QueueError; readonly at: number }

export const onHoldForLost = ({ log, metrics, pod }: Pick<Context, 'log' | 'metrics' | 'pod'>, { delivery, settlement, fault, at }: Lost): Settlement => {
  const { later, held, notices = [], trace = [] } = settlement ?? {}
  const recipients = later === undefined && held === undefined ? delivery.recipients : [...(later?.recipients ?? []), ...(held?.recipients ?? [])]
  const why = `${fault.code}: ${fault.message}`
  metrics.recordsUnreadable.inc()
  log.error('BODY_LOST', { delivery: delivery.id, reason: fault.code, error: fault.message })
  const line = { at, message: delivery.message, delivery: delivery.id, pod, kind: 'held' as const, text: why, recipients: recipients.map(({ mailbox }) => printMailbox(mailbox)) }
  return { held: { recipients, why }, notices, trace: [...trace.filter(({ kind }) => kind !== 'held'), line] }
}
