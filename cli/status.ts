// `posthouse status`: one screen for whoever was just woken, and an exit code for scripts.
import type { Command } from 'commander'
import type { Status, WaitingDomain } from '../relay/status.ts'
import { reasonOf } from './queue.ts'
import { ask, askingOptions, type Asking } from './socket.ts'
import { ago, print, printJson, size, styled, table } from './terminal.ts'

export const statusCommand = (program: Command): void => {
  askingOptions(program.command('status').description('is it ready, is mail safe, what waits and why (exit code 0 all is well, 1 something needs a person)')).action(status)
}

const status = async (options: Asking): Promise<void> => {
  const told = (await ask(options, 'status')) as Status
  if (told.needs.length > 0) process.exitCode = 1
  if (options.json) return printJson(told)
  for (const [name, value] of linesOf(told, Date.now())) print(`${styled('bold', name.padEnd(9))} ${value}`)
  if (told.backlog !== undefined && told.backlog.domains.length > 0) print(`\n${table(['READY', 'DEFERRED', 'HELD', 'DOMAIN', 'WHY'], told.backlog.domains.map((domain) => row(domain, told.backlog!.readyByDomain)))}`)
  print()
  for (const need of told.needs) print(styled('red', `needs a person: ${need}`))
  if (told.needs.length === 0) print(styled('green', 'all is well'))
}

const linesOf = ({ relay, pod, revision, ready, durable, full, lanes, peers, backlog, paused, counts }: Status, now: number): [string, string][] => {
  const same = peers.filter((peer) => peer.revision === revision).length
  return [
    ['relay', `${relay}, asked of ${pod}`],
    ['ready', ready.ready ? `yes${ready.reason === 'ready' ? '' : `: ${ready.reason}`}` : bad(`no: ${ready.reason}`)],
    ['durable', durable.ok ? 'yes' : bad(`no: ${durable.reason}: ${durable.text}`)],
    ['full', `${full.is ? bad('yes') : 'no'}: ${size(full.bytes)} of ${size(full.limit)}; from ${size(full.stopsAt)} on mail is answered 452`],
    ['waiting', backlog === undefined ? bad('not known: the queue does not answer') : `${backlog.ready} ready, ${backlog.deferred} deferred, ${backlog.held} on hold; ${counts.inFlight} being tried by this process`],
    ['due', backlog?.oldestReadyAt === undefined ? 'nothing' : `the oldest since ${ago(backlog.oldestReadyAt, now)}`],
    ['lanes', `${lanes.served} of ${lanes.of}, by ${peers.length} ${peers.length === 1 ? 'process' : 'processes'}: ${peers.map((peer) => `${peer.pod} ${peer.lanes}`).join(', ')}`],
    ['snapshot', `${revision}${same === peers.length ? '' : `, in force in ${same} of ${peers.length} processes`}`],
    ['paused', paused ? bad('yes') : 'no'],
  ]
}

const bad = (text: string): string => styled('red', text)

const row = ({ ready, deferred, held, domain, ...entry }: WaitingDomain, known: boolean): string[] => [known ? String(ready) : '?', String(deferred), String(held), domain || '(unreadable)', reasonOf(entry)]
