// `posthouse trace` and `posthouse why`: what became of a message, and what holds one back.
import type { Command } from 'commander'
import type { DurableAccept, QueueEntry, TraceEvent } from '../relay/queue/index.ts'
import { Failure } from './failure.ts'
import { find, type Finding, isFinding } from './found.ts'
import { printEntry, reasonOf } from './queue.ts'
import { ask, askingOptions, type Asking } from './socket.ts'
import { clock, print, printJson, styled, table, when } from './terminal.ts'

export const traceCommand = (program: Command): void => {
  askingOptions(program.command('trace [id]').description('the timeline of one message: accepted by, verdict, each attempt, outcome; or messages found by their addresses'))
    .option('--latest', 'the newest message')
    .option('--to <address>', 'instead of an id: messages for this envelope recipient, a line each')
    .option('--from <address>', 'instead of an id: messages from this envelope sender; <> for notices')
    .option('--since <when>', 'how far to look back, as 1h, or a time, of UTC where it names no zone (default: 1d; timelines are kept 7d)')
    .option('--until <when>', 'nothing newer, as 2h, or a time')
    .option('--limit <n>', 'at most this many messages, the newest (default: 20)')
    .action(trace)
}

export const whyCommand = (program: Command): void => {
  askingOptions(program.command('why <id-or-domain>').description('what holds a message or a domain back, and which manifest set it')).action(why)
}

const trace = async (id: string | undefined, options: Asking & Finding & { latest?: boolean }): Promise<void> => {
  const ways = [id !== undefined, options.latest === true, isFinding(options)].filter(Boolean).length
  if (ways === 0) throw new Failure('name a message (the id in "queued as …"), or say --latest, or find it with --to, --from or --since')
  if (ways > 1) throw new Failure('name a message, or say --latest, or which with --to, --from and --since; not both')
  if (isFinding(options)) return find(options)
  const events = (id === undefined ? await ask(options, 'latest') : await ask(options, 'trace', { id })) as TraceEvent[]
  if (events.length === 0) throw new Failure(`no trace of ${id}: traces are kept 7 days`, 1)
  if (options.json) printJson(events)
  else printEvents(events)
}

const colours = { delivered: 'green', bounced: 'red', deferred: 'yellow', held: 'yellow', dropped: 'red' } as const

/** The process stands where it accepted the message, and where another goes on with it. */
const printEvents = (events: readonly TraceEvent[]): void => {
  for (const [index, { at, kind, text, host, said, recipients, rule, by, delivery, pod }] of events.entries()) {
    const colour = kind in colours ? colours[kind as keyof typeof colours] : 'bold'
    print(`${clock(at)}  ${styled(colour, kind.padEnd(9))} ${delivery ?? ''} ${text}`.trimEnd())
    const more = [recipients && `to ${recipients.join(', ')}`, host && `host ${host}`, said && `it said: ${said}`, rule && `rule ${rule}`, by && `by order of ${by}`, pod !== events[index - 1]?.pod && `in process ${pod}`]
    for (const line of more) if (line) print(`${' '.repeat(26)}${line.replaceAll('\n', `\n${' '.repeat(26 + 'it said: '.length)}`)}`)
  }
}

type Why =
  | { kind: 'delivery'; entry: QueueEntry; limits: string[]; durable: DurableAccept }
  | { kind: 'message'; message: string; deliveries: { entry: QueueEntry; limits: string[] }[]; durable: DurableAccept } // one with several deliveries
  | { kind: 'domain'; domain: string; entries: QueueEntry[]; more: boolean; limits: string[]; durable: DurableAccept } // more: not all of them are counted
  | { kind: 'ended'; events: TraceEvent[] }

const why = async (about: string, options: Asking): Promise<void> => {
  const answer = (await ask(options, 'why', { about })) as Why
  if (options.json) return printJson(answer)
  if (answer.kind === 'ended') return print('It is not in the queue any more. What became of it:'), printEvents(answer.events)
  if (answer.kind === 'domain') {
    printReasons(answer.entries)
    if (answer.more) print(`These are the first ${answer.entries.length} that wait; posthouse queue summary --domain ${answer.domain} counts them all.`)
    printLimits(answer.limits)
  } else printDeliveries(answer.kind === 'message' ? answer.deliveries : [answer])
  if (!answer.durable.ok) print(styled('red', `queue     ${answer.durable.text}`))
}

const printDeliveries = (deliveries: readonly { readonly entry: QueueEntry; readonly limits: readonly string[] }[]): void => {
  for (const [index, { entry, limits }] of deliveries.entries()) {
    if (index > 0) print()
    printEntry(entry)
    printLimits(limits)
  }
}

const printLimits = (limits: readonly string[]): void => {
  for (const limit of limits) print(`${styled('bold', 'limit'.padEnd(9))} ${limit}`)
}

/** Deliveries of a domain by the reason they wait and the schedule they wait by, the most common first. */
const printReasons = (entries: readonly QueueEntry[]): void => {
  const groups = new Map<string, { count: number; next: number; schedule: string; example: string; reason: string }>()
  for (const { state, nextAt, schedule: by, id, ...entry } of entries) {
    const reason = [state, reasonOf(entry)].filter(Boolean).join(': ')
    const schedule = nextAt === undefined ? '-' : (by ?? '-')
    const key = `${schedule} ${reason}`
    const group = groups.get(key) ?? { count: 0, next: Infinity, schedule, example: id, reason }
    groups.set(key, { ...group, count: group.count + 1, next: Math.min(group.next, nextAt ?? Infinity) })
  }
  const rows = [...groups.values()].sort((a, b) => b.count - a.count).map(({ count, next, schedule, example, reason }) => [String(count), Number.isFinite(next) ? when(next, Date.now()) : '-', schedule, example, reason])
  print(table(['COUNT', 'NEXT', 'SCHEDULE', 'EXAMPLE', 'WHY'], rows))
}
