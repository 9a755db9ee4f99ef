// Holds MailSender.limits and RelayPolicy.limits: which windows one event counts in, and this process's share of each.
import type { Policy, Sender } from '../snapshot/index.ts'
import { fits, newWindow, shareOf, take, type Window } from './window.ts'

export type Over = { readonly manifest: string; readonly limit: number; readonly what: string }
export type Unit = 'connections' | 'messages' | 'recipients'
/** Whom an event belongs to. */
type Party = { readonly source: string; readonly sender?: string; readonly domain?: string }

type Rule = { readonly key: string; readonly manifest: string; readonly limit: number; readonly windowMs: number; readonly what: string; readonly warnOnly: boolean }

const minute = 60_000
const hour = 3_600_000
const mostWindows = 100_000 // sources are the world's to choose; past this the longest unused is forgotten

export type FleetLimits = {
  /** Counts one event under every limit that applies, or under none where one is over: the first that is, or undefined. */
  count(unit: Unit, party: Party, policies: readonly Policy[], sender?: Sender): Over | undefined
}

export const createFleetLimits = (given: { pod: string; peers: () => readonly { readonly pod: string }[]; now: () => number; warn?: (over: Over) => void }): FleetLimits => {
  const windows = new Map<string, Window>()
  const find = (key: string): Window => {
    const window = windows.get(key) ?? newWindow()
    windows.delete(key) // to the end: the Map's order is the order of use
    windows.set(key, window)
    if (windows.size > mostWindows) windows.delete(windows.keys().next().value!)
    return window
  }
  const share = (limit: number): number => {
    const pods = given.peers().map(({ pod }) => pod).sort()
    return shareOf(limit, pods.length, Math.max(0, pods.indexOf(given.pod)))
  }
  return {
    count: (unit, party, policies, sender) => {
      const now = given.now()
      const windows = rulesFor(unit, party, policies, sender).map((rule) => ({ rule, window: find(rule.key), limit: share(rule.limit) }))
      const over = windows.filter(({ rule, window, limit }) => !fits(window, now, rule.windowMs, limit)).map(({ rule }) => rule)
      for (const rule of over) if (rule.warnOnly) given.warn?.(rule)
      const refusing = over.find(({ warnOnly }) => !warnOnly)
      if (!refusing) for (const { rule, window, limit } of windows) take(window, now, rule.windowMs, limit)
      return refusing
    },
  }
}

const rulesFor = (unit: Unit, party: Party, policies: readonly Policy[], sender: Sender | undefined): Rule[] => {
  const rules: Rule[] = []
  const perHour = sender?.limits.messagesPerHour
  if (unit === 'messages' && sender && perHour !== undefined && party.domain === undefined) {
    rules.push({ key: `s/${party.sender}`, manifest: sender.manifest, limit: perHour, windowMs: hour, what: 'messages per hour', warnOnly: false })
  }
  for (const policy of policies) {
    for (const entry of policy.limits) rules.push(...ruleOf(unit, party, policy, entry))
  }
  return rules
}

const ruleOf = (unit: Unit, party: Party, policy: Policy, entry: Policy['limits'][number]): Rule[] => {
  const who = party[entry.by]
  const [limit, windowMs, what] = { connections: [entry.connectionsPerMinute, minute, 'connections per minute'], messages: [entry.messagesPerMinute, minute, 'messages per minute'], recipients: [entry.recipientsPerHour, hour, 'recipients per hour'] }[unit] as [number | undefined, number, string]
  if (who === undefined || limit === undefined) return []
  return [{ key: `p/${policy.manifest}/${entry.by}/${unit}/${who}`, manifest: policy.manifest, limit, windowMs, what: `${what} by ${entry.by} ${who}`, warnOnly: policy.mode === 'Warn' }]
}
