// The message as one host gets it: converted where it must be, then signed (RFC 6376 5.3 wants that order). Each form is made once per attempt.
import type { Delivery } from '../queue/index.ts'
import type { Log } from '../report/index.ts'
import type { Snapshot } from '../snapshot/index.ts'
import type { Attempt } from './attempt.ts'
import type { Content } from './content.ts'
import { notConvertible } from './fit.ts'

type Made = Awaited<ReturnType<Attempt['contentFor']>>

export const createPreparation = (_options: { readonly log: Log }) => (_snapshot: Snapshot, _delivery: Delivery, content: Content): Attempt['contentFor'] =>
  (fit, host): Promise<Made> => Promise.resolve(fit.convert ? { unfit: notConvertible(host, 'conversion is not built in yet') } : { content })
