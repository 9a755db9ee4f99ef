// Groups the recipients of one message into deliveries: one per domain, hold and schedule. Pure.
import type { NewDelivery } from '../queue/index.ts'
import type { Leaving, Passed } from './state.ts'

export const groupByDomain = (passed: Iterable<Passed>, leave: (domain: string) => ReturnType<Leaving>): NewDelivery[] => {
  const groups = new Map<string, NewDelivery & { recipients: Passed['recipient'][] }>()
  for (const { recipient, verdict } of passed) {
    const { domain } = recipient.mailbox
    const held = verdict.kind === 'hold' ? verdict.reason : undefined
    const key = `${domain} ${held ?? ''}`
    const group = groups.get(key)
    if (group) group.recipients.push(recipient)
    else groups.set(key, newGroup(domain, recipient, held, leave(domain)))
  }
  return [...groups.values()]
}

const newGroup = (domain: string, recipient: Passed['recipient'], held: string | undefined, way: ReturnType<Leaving>) => {
  const hold = held ?? way.hold
  return { domain, recipients: [recipient], schedule: way.schedule, ...(hold !== undefined && { hold }) }
}

/** The rules that let this message in, for the trace: usually one. */
export const becauseOf = (passed: Iterable<Passed>): string => {
  const rules = new Set<string>()
  for (const { verdict } of passed) rules.add(`${verdict.because.rule} (${verdict.because.manifest})`)
  return [...rules].slice(0, 5).join('; ')
}
