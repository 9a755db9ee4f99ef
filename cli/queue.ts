// `posthouse queue`: what waits, why, and the orders people give.
import { userInfo } from 'node:os'
import { domainToASCII } from 'node:url'
import type { Command } from 'commander'
import type { DomainSummary, OrderResult, Order, QueueEntry, Taken } from '../relay/queue/index.ts'
import { addressOf, withoutBrackets } from './address.ts'
import { Failure } from './failure.ts'
import { momentOf } from './moment.ts'
import { ask, askingOptions, type Asking } from './socket.ts'
import { ago, agreed, isTerminal, print, printJson, styled, table, when } from './terminal.ts'

type Filter = { readonly domain?: string; readonly sender?: string; readonly state?: string; readonly limit?: string; readonly until?: string }
type Ordering = Asking & Filter & { readonly yes?: boolean; readonly dryRun?: boolean; readonly by?: string }

export const queueCommand = (program: Command): void => {
  const queue = program.command('queue').description('show and steer what waits in the queue')
  filtered(queue.command('summary', { isDefault: true }).description('deliveries by domain (the default)')).allowExcessArguments().action(summary)
  filtered(queue.command('list').description('one line per delivery')).option('--limit <n>', 'at most this many', '1000').action(list)
  filtered(queue.command('show [id]').description('one delivery whole, or those that fit, with the message\'s headers')).action(show)
  const orders: [Order, string][] = [
    ['hold', 'keep deliveries until they are released'],
    ['release', 'let held deliveries go'],
    ['retry', 'try deferred deliveries now'],
    ['bounce', 'give up and tell the senders'],
    ['delete', 'remove without telling anybody'],
  ]
  const ordering = (order: Order, text: string): Command =>
    filtered(queue.command(`${order} [ids...]`).description(`${text}; by message or delivery id, or by --domain or --sender`))
      .option('--by <who>', 'who gives the order, for the log and the timelines (default: the Unix user)')
      .option('--dry-run', 'say what it would take, and do nothing')
      .action((ids: string[], options: Ordering) => give(order, ids, options))
  for (const [order, text] of orders) {
    const command = ordering(order, text)
    if (isFinal(order)) command.option('--yes', 'with --domain or --sender: without being asked first')
  }
  ordering('postpone', 'try next at another time').requiredOption('--until <when>', 'a duration from now, as 4h or 2d, or a time, as 2030-01-31T08:00Z')
}

const filtered = (command: Command): Command =>
  askingOptions(command)
    .option('--domain <domain>', 'only this recipient domain')
    .option('--sender <sender>', 'only this envelope sender (address; <> for notices) or MailSender (namespace/name)')
    .option('--state <state>', 'only ready, deferred or held')

const filterOf = async ({ domain: asked, sender: from, state, limit }: Filter): Promise<Record<string, unknown>> => {
  const domain = asked === undefined ? undefined : domainOf(asked)
  const sender = from === undefined ? undefined : await senderOf(from)
  if (state !== undefined && !['ready', 'deferred', 'held'].includes(state)) throw new Failure(`--state ${state}: one of ready, deferred, held`)
  if (limit !== undefined && !/^[1-9]\d*$/.test(limit)) throw new Failure(`--limit ${limit}: a whole number from 1`)
  return { ...(domain !== undefined && { domain }), ...(sender !== undefined && { sender }), ...(state !== undefined && { state }), ...(limit !== undefined && { limit: Number(limit) }) }
}

/** As the queue has it: in lower-case A-labels. What is no name (an address literal) the relay reads. */
const domainOf = (text: string): string => {
  if (text.includes('@')) throw new Failure(`--domain ${text}: a recipient domain, such as example.org, without what is before the @`)
  return domainToASCII(text.replace(/\.$/, '')) || text.toLowerCase()
}

/** An address, a MailSender, or `<>`, the null sender, whose mail is notices. */
const senderOf = async (text: string): Promise<string> => {
  const sender = withoutBrackets(text)
  if (sender === '<>' || (sender.includes('/') && !sender.includes('@'))) return sender
  const address = await addressOf(text)
  if (address === undefined) throw new Failure(`--sender ${text}: an address, <> for notices, or a MailSender as namespace/name`)
  return address
}

const summary = async (options: Asking & Filter, command: Command): Promise<void> => {
  if (command.args.length > 0) throw new Failure(`unknown command '${command.args[0]}': one of ${command.parent!.commands.map((one) => one.name()).join(', ')}`)
  const filter = await filterOf(options)
  const rows = (await ask(options, 'summary', filter)) as DomainSummary[]
  if (options.json) return printJson(rows)
  if (rows.length === 0) return print(Object.keys(filter).length > 0 ? 'Nothing in the queue fits.' : 'The queue is empty.')
  const total = (pick: (row: DomainSummary) => number) => String(rows.reduce((sum, row) => sum + pick(row), 0))
  const cells = rows.map((row) => [String(row.ready), String(row.deferred), String(row.held), row.domain || '(unreadable)'])
  print(table(['READY', 'DEFERRED', 'HELD', 'DOMAIN'], [...cells, [total((row) => row.ready), total((row) => row.deferred), total((row) => row.held), `(${rows.length} ${rows.length === 1 ? 'domain' : 'domains'})`]]))
}

const list = async (options: Asking & Filter): Promise<void> => {
  const entries = (await ask(options, 'list', await filterOf(options))) as QueueEntry[]
  if (options.json) return printJson(entries)
  if (entries.length === 0) return print('Nothing in the queue fits.')
  const now = Date.now()
  print(table(['ID', 'STATE', 'ARRIVED', 'TRY', 'NEXT', 'FROM', 'TO', 'WHY'], entries.map((entry) => row(entry, now))))
  if (entries.length === Number(options.limit)) print(`These are the first ${options.limit}; there may be more: --limit takes another number.`)
}

const row = (entry: QueueEntry, now: number): string[] => [
  entry.id,
  entry.state,
  ago(entry.arrivedAt, now),
  String(entry.attempt),
  entry.state === 'held' ? '-' : when(entry.nextAt ?? now, now),
  entry.mailFrom === '' ? '<>' : entry.mailFrom,
  inShort(entry.recipients),
  reasonOf(entry),
]

/** The first two of many. */
export const inShort = (recipients: readonly string[]): string => (recipients.length > 2 ? `${recipients.slice(0, 2).join(',')},… (${recipients.length})` : recipients.join(','))

/** Why it waits, with the remote's words where the reason does not hold them already, in one line. */
export const reasonOf = ({ why = '', said = '' }: Pick<QueueEntry, 'why' | 'said'>): string => {
  const words = said.replaceAll('\n', ' / ') // as reasons have them
  return why.includes(words) ? why : [why, words].filter(Boolean).join(': ')
}

type Shown = { readonly entry: QueueEntry; readonly headers: string }

const show = async (id: string | undefined, options: Asking & Filter): Promise<void> => {
  const filter = await filterOr(id === undefined ? [] : [id], options)
  const ids = filter === undefined ? await deliveriesOf(id!, options) : ((await ask(options, 'list', { limit: mostShown, ...filter })) as QueueEntry[]).map((entry) => entry.id)
  const shown: Shown[] = []
  for (const one of ids) shown.push((await ask(options, 'show', { id: one })) as Shown)
  if (options.json) return printJson(filter === undefined && shown.length === 1 ? shown[0] : shown)
  if (shown.length === 0) return print('Nothing in the queue fits.')
  for (const [index, { entry, headers }] of shown.entries()) {
    if (index > 0) print('')
    printEntry(entry)
    print(`\n${headers.trimEnd()}`)
  }
  if (shown.length === mostShown) print(`\nThese are the first ${mostShown}; there may be more: posthouse queue list shows them in a line each.`)
}
const mostShown = 100

/** A message's id stands for all its deliveries; what is in no list is asked for as it stands, and the relay says what it is. */
const deliveriesOf = async (id: string, options: Asking): Promise<string[]> => {
  const of = id.includes('.') ? [] : ((await ask(options, 'list', { message: id, limit: mostShown })) as QueueEntry[]).map((entry) => entry.id).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  return of.length > 0 ? of : [id]
}

/** Ids or a filter: of both at once only one would count. undefined: by ids. */
const filterOr = async (ids: readonly string[], options: Filter): Promise<Record<string, unknown> | undefined> => {
  const filter = await filterOf(options)
  if (ids.length === 0 && Object.keys(filter).length === 0) throw new Failure('name ids, --domain or --sender')
  if (ids.length === 0) return filter
  if (Object.keys(filter).length > 0) throw new Failure('name ids, or say which with --domain, --sender and --state; not both')
  return undefined
}

export const printEntry = (entry: QueueEntry): void => {
  const now = Date.now()
  const lines: [string, string | undefined][] = [
    ['delivery', entry.id],
    ['state', entry.state],
    ['from', entry.mailFrom === '' ? '<> (a notice)' : entry.mailFrom],
    ['sender', entry.sender],
    ['to', entry.recipients.join(', ')],
    ['arrived', ago(entry.arrivedAt, now)],
    ['tried', `${entry.attempt - 1} ${entry.attempt === 2 ? 'time' : 'times'}`],
    ['next', entry.state === 'held' ? 'when released' : when(entry.nextAt ?? now, now)],
    ['schedule', entry.schedule],
    ['why', entry.why],
    ['host', entry.host],
    ['it said', entry.said?.replaceAll('\n', `\n${' '.repeat(10)}`)],
    ['size', `${entry.bytes} bytes`],
    ['lane', `${entry.lane}${entry.owner === undefined ? ', nobody owns it for the moment' : `, owned by ${entry.owner}`}`],
  ]
  for (const [name, value] of lines) if (value !== undefined && value !== '') print(`${styled('bold', name.padEnd(9))} ${value}`)
}

/** Nothing brings mail back after these. */
const isFinal = (order: Order): boolean => order === 'bounce' || order === 'delete'

const give = async (order: Order, ids: readonly string[], options: Ordering): Promise<void> => {
  const filter = await filterOr(ids, options)
  const until = options.until === undefined ? undefined : await timeOf(options.until)
  const which = { order, ...(filter === undefined ? { ids } : { filter }) }
  if (options.dryRun) return printTaken(order, (await ask(options, 'takes', which)) as Taken, options)
  if (filter !== undefined && isFinal(order) && !options.yes && !(await confirmed(order, (await ask(options, 'takes', which)) as Taken, options))) return
  const results = (await ask(options, 'order', { ...which, by: options.by ?? unixUser(), ...(until !== undefined && { until }) })) as OrderResult[]
  if (options.json) printJson(results)
  else for (const { id, done, why } of results) print(`${id}  ${done ? styled('green', `${order}: done`) : styled('red', `${order}: not done, ${why ?? 'no reason given'}`)}`)
  if (!options.json && results.length === 0) print('Nothing in the queue fits.')
  if (results.some(({ done }) => !done)) process.exitCode = 1
}

/** In a pod the user has a number and often no name. */
const unixUser = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

const deliveries = (count: number): string => (count === 1 ? '1 delivery' : `${count} deliveries`)

/** Of what fits a filter nobody has seen how much it is. Where nobody can be asked nothing is done. */
const confirmed = async (order: Order, { takes }: Taken, options: Ordering): Promise<boolean> => {
  if (takes === 0) return options.json ? printJson([]) : print('Nothing in the queue fits.'), false
  if (!isTerminal()) throw new Failure(`${order} would take ${deliveries(takes)}: nothing was done; --yes does it, --dry-run shows them`)
  if (await agreed(`${order} ${deliveries(takes)}, ${order === 'bounce' ? 'and tell the senders' : 'and tell nobody'}? [y/N] `)) return true
  print('Nothing was done.')
  process.exitCode = 1
  return false
}

const printTaken = (order: Order, taken: Taken, { json }: Asking): void => {
  const { takes, entries, leaves } = taken
  if (leaves.length > 0) process.exitCode = 1
  if (json) return printJson(taken)
  const now = Date.now()
  if (entries.length > 0) print(table(['ID', 'STATE', 'ARRIVED', 'TRY', 'NEXT', 'FROM', 'TO', 'WHY'], entries.map((entry) => row(entry, now))))
  if (takes > entries.length) print(`These are the first ${entries.length}.`)
  for (const { id, why } of leaves) print(`${id}  ${styled('red', `${order}: would not be done, ${why}`)}`)
  print(takes + leaves.length === 0 ? 'Nothing in the queue fits.' : `${order} would take ${deliveries(takes)}; nothing was done.`)
}

const timeOf = async (text: string): Promise<number> => {
  const at = await momentOf(text, Date.now(), 'ahead')
  if (!Number.isFinite(at) || at <= Date.now()) throw new Failure(`--until ${text}: a duration up to 30 days, such as 4h or 2d, or a time to come, such as 2030-01-31T08:00Z`)
  return at
}
