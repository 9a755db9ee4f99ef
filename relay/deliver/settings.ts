// What a deliverer may be told: time-outs of RFC 5321 4.5.3.2 per phase, limits, and what only tests change. Pure.
import type { Way } from './route.ts'
import type { ReplyLimits } from './smtp-wire.ts'
import { defaultReplyLimits } from './smtp-wire.ts'
import type { SiteLimits } from './throttle.ts'

export type Timeouts = {
  readonly connect: number // all in ms
  readonly greeting: number
  readonly tls: number
  readonly ehlo: number
  readonly auth: number
  readonly mail: number
  readonly rcpt: number
  readonly data: number
  readonly block: number // one piece of the message
  readonly dot: number
  readonly rset: number
  readonly idle: number // a connection without mail
  readonly look: number // how often the clock is looked at
  readonly callout: number // all that a client waits for at RCPT
  readonly attempt: number // all of an attempt with one recipient and a short message
}

const minutes = 60_000
export const defaultTimeouts: Timeouts = {
  connect: 30_000, greeting: 5 * minutes, tls: 60_000, ehlo: 5 * minutes, auth: 60_000, mail: 5 * minutes, rcpt: 5 * minutes,
  data: 2 * minutes, block: 3 * minutes, dot: 10 * minutes, rset: 20_000, idle: 10_000, look: 500, callout: 20_000, attempt: 60 * minutes,
}

export type Settings = {
  readonly timeouts: Timeouts
  readonly replyLimits: ReplyLimits
  readonly addressesPerAttempt: number
  readonly connectionsPerSite: number
  readonly messagesPerConnection: number
  readonly mxPort: number // 25 but in tests
  readonly allowLoopback: boolean // tests only: MX records may point to 127/8
  readonly extraCa: readonly string[] // PEM, beside the system's
}

export type SettingsInput = Partial<Omit<Settings, 'timeouts'>> & { readonly timeouts?: Partial<Timeouts> }

export const settingsFrom = ({ timeouts, ...rest }: SettingsInput): Settings => ({
  replyLimits: defaultReplyLimits, addressesPerAttempt: 5, connectionsPerSite: 20, messagesPerConnection: 100,
  mxPort: 25, allowLoopback: false, extraCa: [],
  ...defined(rest),
  timeouts: { ...defaultTimeouts, ...defined(timeouts ?? {}) },
})

/**
 * What one attempt may take in all, in ms: a host that gives each of a thousand replies just in time would hold its connection for days.
 * A recipient has a thirtieth of its phase (10 s of 5 min), a message the time it takes at 10 KB/s.
 */
export const attemptLimit = ({ timeouts }: Settings, { recipients, bytes }: { readonly recipients: number; readonly bytes: number }): number =>
  timeouts.attempt + (recipients * timeouts.rcpt) / 30 + bytes / 10

/** What is counted for all processes together. */
export const limitsOn = (way: Way, { connectionsPerSite }: Settings): SiteLimits => {
  const { connections, ratePerMinute } = way.kind === 'route' ? way.route.limits : {}
  return { connections: connections ?? connectionsPerSite, ratePerMinute, ...(way.kind === 'route' && { setBy: way.route.manifest }) }
}

/** What the DeliveryRoute says, before what holds for all. */
export const settingsOn = (way: Way, settings: Settings): Settings => {
  if (way.kind !== 'route') return settings
  const { limits, timeouts } = way.route
  const inMs = Object.fromEntries(Object.entries(timeouts).map(([phase, seconds]) => [phase, seconds * 1000])) as Partial<Timeouts>
  return {
    ...settings,
    messagesPerConnection: limits.messagesPerConnection ?? settings.messagesPerConnection,
    addressesPerAttempt: limits.addressesPerAttempt ?? settings.addressesPerAttempt,
    timeouts: { ...settings.timeouts, ...inMs },
  }
}

const defined = <T extends object>(given: T): T => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T
