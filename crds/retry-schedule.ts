// RetrySchedule: when to try again, when to say that mail is late, when to give up. Cluster-scoped.
import { z } from 'zod'
import { duration, isLonger } from './duration.ts'
import { age, ready, reason, type Kind, type Manifest } from './kind.ts'
import { exactlyOneOf, keyed, ordered, proven } from './schema.ts'
import { conditions, observedGeneration } from './status.ts'

const attempts = ordered(duration('One wait.'), 64, 'Waits, each from the end of the last attempt; the last repeats.').min(1).optional()

const backoff = proven(
  z.strictObject({
    initial: duration('First wait.'),
    factor: z.number().min(1).max(100).default(2).describe('Each wait is the last one times this.'),
    max: duration('Longest wait.'),
    jitter: z.number().min(0).max(1).default(0.2).describe('Share of each wait that chance adds or takes away.'),
  }),
  'Waits that grow.',
  [
    {
      cel: 'self.initial <= self.max',
      message: 'initial is at most max',
      holds: ({ initial, max }) => !isLonger(initial, max),
      at: ['initial'],
    },
  ],
).optional()

const override = proven(
  z.strictObject({
    when: z.enum(['Connect', 'DNS', 'TLS', 'Greylist', 'RateLimited', 'QuotaExceeded']).describe('What the last attempt failed with.'),
    attempts,
    backoff,
  }),
  'Other waits after one kind of failure. Exactly one of attempts, backoff.',
  [exactlyOneOf('attempts', 'backoff')],
)

const spec = proven(
  z.strictObject({
    attempts,
    backoff,
    giveUpAfter: duration('When, from the arrival of the message, its sender is told that it could not be delivered.').default('5d'),
    delayNoticeAfter: duration('When, from the arrival of the message, its sender is told once that it is late. Absent: never.').optional(),
    overrides: keyed(override, 'when', 6, 'Other waits after certain failures.').default([]),
  }),
  'The schedule. Exactly one of attempts, backoff. Mail already queued keeps the schedule it was accepted with.',
  [
    exactlyOneOf('attempts', 'backoff'),
    {
      cel: '!has(self.delayNoticeAfter) || self.delayNoticeAfter < self.giveUpAfter',
      message: 'delayNoticeAfter is shorter than giveUpAfter',
      holds: ({ delayNoticeAfter, giveUpAfter }) => delayNoticeAfter === undefined || isLonger(giveUpAfter, delayNoticeAfter),
      at: ['delayNoticeAfter'],
      reads: ['delayNoticeAfter', 'giveUpAfter'],
    },
  ],
)

const status = z.strictObject({ observedGeneration: observedGeneration.optional(), conditions: conditions.optional() }).describe('What the operator found. Condition: Ready.')

export const retrySchedule = {
  kind: 'RetrySchedule',
  plural: 'retryschedules',
  singular: 'retryschedule',
  shortName: 'rsched',
  scope: 'Cluster',
  description: 'When to try again, when to tell the sender that mail is late, when to give up. It belongs to no namespace.',
  spec,
  status,
  nameRules: [],
  selectable: ['.spec.giveUpAfter'],
  columns: [{ name: 'Give up after', type: 'string', jsonPath: '.spec.giveUpAfter', description: 'When the sender is told that it failed.' }, ready, reason, age],
  example: `metadata: {name: patient}
spec:
  attempts: [2m, 5m, 15m, 30m, 1h, 2h, 4h]
  delayNoticeAfter: 4h
  giveUpAfter: 5d
  overrides: [{when: Greylist, attempts: [5m, 10m, 30m]}]
`,
} as const satisfies Kind

export type RetrySchedule = Manifest<'RetrySchedule', z.infer<typeof spec>>
export type RetryWaits = { readonly attempts?: readonly string[] | undefined; readonly backoff?: RetrySchedule['spec']['backoff'] }
