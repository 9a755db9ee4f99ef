// `posthouse trace --to …`: messages by their addresses, for who has no id; one line each, the newest first.
import type { Became, traceDays, TracedMessage, TraceFound } from '../relay/queue/index.ts'
import { addressOf } from './address.ts'
import { Failure } from './failure.ts'
import { momentOf } from './moment.ts'
import { inShort } from './queue.ts'
import { ask, type Asking } from './socket.ts'
import { clock, print, printJson, table } from './terminal.ts'

export type Finding = { readonly to?: string; readonly from?: string; readonly since?: string; readonly until?: string; readonly limit?: string }

export const isFinding = (options: Finding): boolean => [options.to, options.from, options.since, options.until, options.limit].some((given) => given !== undefined)

const keptDays: typeof traceDays = 7 // by its type alone: the CLI starts without the queue

export const find = async (options: Asking & Finding): Promise<void> => {
  const { to, from, until, limit = '20' } = options
  if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > 1000) throw new Failure(`--limit ${limit}: a whole number from 1 to 1000`)
  const now = Date.now()
  const question = {
    since: await past('--since', options.since ?? '1d', now),
    limit: Number(limit),
    ...(until !== undefined && { until: await past('--until', until, now) }),
    ...(to !== undefined && { to: await given('--to', to) }),
    ...(from !== undefined && { from: ['', '<>'].includes(from) ? '' : await given('--from', from) }),
  }
  const found = (await ask(options, 'find', question)) as TraceFound
  if (found.messages.length === 0) process.exitCode = 1
  if (options.json) return printJson(found)
  if (found.messages.length > 0) print(table(['ACCEPTED', 'ID', 'FROM', 'TO', 'BECAME'], found.messages.map(row)))
  else print(`No such message was accepted since ${clock(Math.max(question.since, found.reached ?? 0))}.`)
  if (found.more) print(`These are the newest ${found.messages.length}; there may be more: --limit takes another number.`)
  if (found.reached !== undefined) print(`That is not all of the trace: nothing before ${clock(found.reached)} was looked at. Go on with --until ${new Date(found.reached).toISOString()}`)
}

const row = ({ at, message, from, recipients, became }: TracedMessage): string[] => [
  clock(at).replace(/\.\d+/, ''),
  message,
  from === undefined ? '?' : from || '<>',
  inShort(recipients) || '?',
  became === undefined ? `not looked for: posthouse trace ${message}` : wordsOf(became),
]

/** `delivered`, or with the number of recipients where they differ. */
const wordsOf = (became: Became): string => {
  const states = Object.entries(became)
  if (states.length === 0) return '?'
  return states.length === 1 ? states[0]![0] : states.map(([state, count]) => `${count} ${state}`).join(', ')
}

const given = async (option: string, text: string): Promise<string> => {
  const address = await addressOf(text)
  if (address === undefined) throw new Failure(`${option} ${text}: an envelope address, such as joe@example.org`)
  return address
}

const past = async (option: string, text: string, now: number): Promise<number> => {
  const at = await momentOf(text, now, 'back')
  if (!Number.isFinite(at) || at > now || at < now - keptDays * 86_400_000) throw new Failure(`${option} ${text}: a duration back from now, such as 1h or 7d, or a time, such as 2030-01-31T08:00Z; timelines are kept ${keptDays} days`)
  return at
}
