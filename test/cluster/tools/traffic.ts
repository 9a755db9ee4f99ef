// Mail that flows until it is told to stop, and the account of it: promised, arrived, lost, twice, and how long nobody was served.
import assert from 'node:assert/strict'
import type { Ctx } from '../../scenarios/story.ts'
import { joinLedger } from '../../tools/ledger.ts'
import { sendAll, type SendLog } from '../../tools/load-client.ts'
import { mailTo } from '../../tools/mails.ts'
import type { Mail } from '../../tools/smtp-client.ts'
import { until } from '../../tools/until.ts'
import type { Fleet } from './fleet.ts'

export type Traffic = {
  /** Mails accepted so far. */
  accepted(): number
  /** The longest time without a 250 since the last time this was asked, in seconds. */
  longestGap(): number
  /** When all that were counted have their 250. */
  readonly done: Promise<SendLog>
  /** No further mail; resolves when the last has its 250. */
  stop(): Promise<SendLog>
}

export type TrafficOptions = {
  readonly domains: readonly string[]
  readonly clients: number
  readonly pauseMs?: number
  /** Only so many mails; until it is told to stop where not said. */
  readonly count?: number
  readonly prefix?: string
  readonly mailsPerConnection?: number
}

export const startTraffic = ({ host, mark }: Fleet, options: TrafficOptions): Traffic => {
  const state = { stopped: false, accepted: 0, last: performance.now(), gap: 0 }
  const { clients, pauseMs, mailsPerConnection } = options
  const heard = (): void => {
    const now = performance.now()
    state.gap = Math.max(state.gap, now - state.last)
    state.last = now
  }
  const sent = sendAll({
    host,
    ports: [25],
    clients,
    mails: mails(mark, options, () => state.stopped),
    patienceMs: 900_000,
    replyMs: 20_000,
    ...(pauseMs !== undefined && { pauseMs }),
    ...(mailsPerConnection !== undefined && { mailsPerConnection }),
    onAccepted: (count) => (heard(), (state.accepted = count)),
  })
  sent.catch(() => {}) // whoever stops it hears of it
  return {
    accepted: () => state.accepted,
    done: sent,
    longestGap: () => {
      heard()
      const { gap } = state
      state.gap = 0
      return gap / 1000
    },
    stop: () => {
      state.stopped = true
      return sent
    },
  }
}

/** Its notices would go where its mail goes, and be seen there. */
function* mails(mark: string, { domains, count = Infinity, prefix = 'r' }: TrafficOptions, isStopped: () => boolean): Generator<Mail> {
  for (let n = 0; n < count && !isStopped(); n++) yield mailTo(`${mark}${prefix}${n}@${domains[n % domains.length]}`, { from: `sender@${domains[0]}` })
}

/** What clients were told beside 2xx, with how often. */
export const troubleOf = ({ trouble }: SendLog): string => [...trouble].map(([text, times]) => `${times} × ${text}`).join(' | ') || 'nothing but success'

/** Waits until all that was promised is there, and notes the account; returns the duplicates. */
export const settle = async (ctx: Ctx, { sink, away, mark }: Fleet, logs: readonly SendLog[]): Promise<number> => {
  const accepted = logs.flatMap((log) => [...log.accepted])
  const all = () => [...sink.recipients(), ...away.recipients()]
  const arrived = () => all().filter((name) => name.startsWith(mark))
  const there = async (): Promise<boolean> => {
    const seen = new Set(arrived())
    return accepted.every((one) => seen.has(one))
  }
  await until('every mail at its next host', there, 300_000, 500).catch(() => undefined) // the account says it better
  const { lost, duplicates, unpromised } = joinLedger({ accepted, arrived: arrived() })
  const unsure = logs.reduce((sum, log) => sum + log.unsure, 0)
  ctx.note('mails accepted', accepted.length)
  // a nats-server that was killed may bring back records that were removed long before (nats-server#7384): nothing is lost, something arrives twice
  ctx.note('mails of earlier stories that came back', all().length - arrived().length)
  ctx.note('lost', lost.length)
  ctx.note('duplicates', `${duplicates} (sent again by clients that lost their connection or were told to come again: ${unsure})`)
  assert.deepEqual(lost.slice(0, 20), [], `${lost.length} of ${accepted.length} lost`)
  assert.equal(unpromised, 0, 'clients sent until each mail had its 250')
  assert.deepEqual(logs.flatMap((log) => [...log.refused]), [], 'refused for good')
  const notices = [...sink.arrivals, ...away.arrivals].filter(({ from }) => from === '')
  assert.equal(notices.length, 0, 'nothing that could be delivered is bounced')
  assert.deepEqual([...sink.faults, ...away.faults], [])
  return duplicates
}
