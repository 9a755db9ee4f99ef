// `npm run bench`: Posthouse beside a private Postfix on this machine, in the same run, turn about; a table and a JSON file.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { missing, needs } from '../scenarios/needs.ts'
import { argumentsOf, numberAbove0, oneOf } from '../tools/arguments.ts'
import { startSmtpSink } from '../tools/postfix.ts'
import { manyDeferred, type Deferred } from './deferred.ts'
import { million, type Million } from './million.ts'
import { killOne, type Killed } from './duplicates.ts'
import { tuned } from './postfix-side.ts'
import { startSlowHop } from './slow-hop.ts'
import { compare, type Compared, type Hop } from './throughput.ts'

const parts = ['throughput', 'slow-hop', 'kill', 'deferred', 'million'] as const
type Part = (typeof parts)[number]

const usage = `npm run bench                    beside Postfix: a table, and .posthouse/bench.json (as root, a quarter of an hour)
npm run bench -- --smoke         a minute, too short for a verdict
                --only PART      ${parts.join(', ')}; may be given several times
                --rounds N       instead of 3
                --json FILE      where the figures go`

const { values: flags } = argumentsOf(usage, {
  options: { smoke: { type: 'boolean' }, json: { type: 'string', default: '.posthouse/bench.json' }, rounds: { type: 'string' }, only: { type: 'string', multiple: true } },
})

const smoke = flags.smoke === true
const only = flags.only?.map((part) => oneOf('--only', part, parts, usage))
const wanted = (part: Part): boolean => only?.includes(part) ?? part !== 'million' // which takes a quarter of an hour: by name only
const say = (line: string): void => console.log(line)
const rounds = flags.rounds === undefined ? (smoke ? 1 : 3) : numberAbove0('--rounds', flags.rounds, usage)

type Results = { readonly compared: Compared[]; killed?: Killed; deferred?: Deferred; million?: Million }

const measure = async (folder: string): Promise<Results> => {
  const results: Results = { compared: [] }
  const startFastHop = async (): Promise<Hop> => {
    const sink = await startSmtpSink()
    return { port: sink.port, arrived: () => sink.messages(), stop: () => sink.stop() }
  }
  if (wanted('throughput')) {
    const messages = (side: string): number => (side === 'Posthouse' ? 15_000 : 6000) / (smoke ? 3 : 1)
    results.compared.push(...(await compare({ folder: sub(folder, 'fast'), what: 'fast next host', clients: smoke ? [100] : [40, 100, 200], rounds, messages, startHop: startFastHop, say })))
  }
  if (wanted('slow-hop')) {
    const messages = (side: string): number => (side === 'Posthouse' ? 15_000 : 6000) / (smoke ? 5 : 1) // the last half second, in which nothing new comes, must weigh little on either side
    const postfixSettings = { default_destination_concurrency_limit: '1000', default_process_limit: '1200' }
    results.compared.push(...(await compare({ folder: sub(folder, 'slow'), what: 'next host takes 5-500 ms', clients: smoke ? [100] : [100, 200], rounds: smoke ? 1 : Math.min(rounds, 2), messages, startHop: startSlowHop, postfixSettings, say })))
  }
  if (wanted('kill')) results.killed = await killOne(sub(folder, 'kill'), smoke ? 2000 : 4000)
  if (wanted('deferred')) results.deferred = await manyDeferred(sub(folder, 'deferred'), smoke ? 10_000 : 100_000)
  if (wanted('million')) results.million = await million(sub(folder, 'million'), { ...(smoke ? { deferred: 50_000, due: 15_000 } : { deferred: 1_000_000, due: 300_000 }), say })
  return results
}

// Postfix's daemons run as another user and have to reach their queue
const sub = (folder: string, name: string): string => {
  mkdirSync(join(folder, name))
  chmodSync(join(folder, name), 0o711)
  return join(folder, name)
}

const table = ({ compared, killed, deferred, million }: Results): string[] => [
  ...compared.map(({ what, clients, posthouse, postfix, ratio, relayPeakMiB }) => `${what.padEnd(26)} ${String(clients).padStart(4)} clients   Posthouse ${String(posthouse).padStart(5)}/s   Postfix ${String(postfix).padStart(5)}/s   ratio ${ratio.toFixed(2).padStart(5)}   relay RSS peak ${relayPeakMiB} MiB`),
  ...(killed ? [`kill -9 under load          ${killed.accepted} accepted, ${killed.lost} lost, ${killed.duplicates} twice (in flight ${killed.inFlight}; not told of their 250 ${killed.unsure}); others delivered after ${killed.secondsToTakeOver.toFixed(1)} s`] : []),
  ...(deferred ? [`${deferred.deliveries} deferred            start ${deferred.startSeconds.toFixed(2)} s   summary ${deferred.summarySeconds.toFixed(2)} s (as a command ${deferred.summaryCommandSeconds.toFixed(2)} s)   deferred in ${deferred.secondsToDefer.toFixed(0)} s   relay RSS peak ${deferred.relayPeakMiB} MiB`] : []),
  ...(million ? rowsOfMillion(million) : []),
]

const rowsOfMillion = ({ deferred, due, serverRestartSeconds, serverMiB, relayStartSeconds, summarySeconds, listSeconds, secondsToDeliverDue, relayPeakMiB, freshPerSecond }: Million): string[] => [
  `${deferred} deferred, ${due} due at once   server started again in ${serverRestartSeconds.toFixed(1)} s, its RSS ${serverMiB} MiB   relay started in ${relayStartSeconds.toFixed(1)} s   due ones delivered in ${secondsToDeliverDue.toFixed(0)} s`,
  `${deferred - due} deferred           summary ${summarySeconds.toFixed(2)} s   one domain listed in ${listSeconds.toFixed(2)} s   relay RSS peak ${relayPeakMiB.full} MiB (empty queue, same load: ${relayPeakMiB.empty})`,
  `fresh mail                 ${freshPerSecond.empty}/s with an empty queue   ${freshPerSecond.besideDeferred}/s beside what is deferred   accepted beside what is due: ${freshPerSecond.besideDue}/s`,
]

/** The bars are the project's own; only a lost mail makes the bench fail. */
const bars = ({ compared, killed, deferred, million }: Results): string[] => {
  const at100 = compared.find(({ clients, what }) => clients === 100 && what.startsWith('fast'))
  const peak = Math.max(0, ...compared.map(({ relayPeakMiB }) => relayPeakMiB), deferred?.relayPeakMiB ?? 0, million?.relayPeakMiB.full ?? 0)
  const judged = (what: string, met: boolean, value: string): string => `${met ? 'met ' : 'MISSED'}  ${what}: ${value}`
  const ofSpeed = [
    ...(at100 ? [judged('at least 4 times Postfix at 100 clients', at100.ratio >= 4, `${at100.ratio}`)] : []),
    ...(deferred ? [judged('start-up under 5 s', deferred.startSeconds < 5, `${deferred.startSeconds.toFixed(2)} s`), judged('summary by domain under 1 s', deferred.summarySeconds < 1, `${deferred.summarySeconds.toFixed(2)} s`)] : []),
    ...(million ? [judged('fresh mail at no less than 80 % of the rate of an empty queue', million.freshPerSecond.besideDeferred >= 0.8 * million.freshPerSecond.empty, `${Math.round((100 * million.freshPerSecond.besideDeferred) / million.freshPerSecond.empty)} %`), judged('relay RSS grows by less than 64 MiB', million.relayPeakMiB.full - million.relayPeakMiB.empty < 64, `${million.relayPeakMiB.full - million.relayPeakMiB.empty} MiB`), judged('one domain listed in a second', million.listSeconds < 1, `${million.listSeconds.toFixed(2)} s`)] : []),
  ]
  return [
    ...(peak > 0 ? [judged('relay RSS under 300 MiB throughout', peak < 300, `${peak} MiB`)] : []), // the part with kills measures none
    ...(killed ? [judged('nothing lost', killed.lost === 0, `${killed.lost}`), judged('twice at most what was in flight and one round of settling', killed.duplicates <= killed.inFlight + killed.unsure + 100, `${killed.duplicates} of ${killed.inFlight} in flight`)] : []),
    ...(smoke ? ['the bars of speed are not judged: a minute is too short, and there was too little of everything (npm run bench)'] : ofSpeed),
  ]
}

const main = async (): Promise<number> => {
  const lacks = missing(['postfix'])
  for (const need of lacks) say(`not run, ${need} is missing: ${needs[need].install}`)
  if (lacks.length > 0) return process.env.CI === 'true' ? 1 : 0
  const machine = `${cpus().length} cores, ${cpus()[0]?.model ?? ''}`
  say(`${machine}; 4 KiB a mail; from the first connect to the last arrival at the next host; both sides fsync before every 250`)
  for (const [name, { value, why }] of Object.entries(tuned)) say(`  postfix ${name} = ${value}   (${why})`)
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-bench-'))
  chmodSync(folder, 0o711)
  const results = await measure(folder)
  say(`\n${[...table(results), '', ...bars(results)].join('\n')}`)
  mkdirSync(dirname(flags.json), { recursive: true })
  writeFileSync(flags.json, `${JSON.stringify({ machine, smoke, postfix: tuned, ...results }, undefined, 2)}\n`)
  say(`\nfigures: ${flags.json}`)
  rmSync(folder, { recursive: true, force: true })
  return (results.killed?.lost ?? 0) === 0 ? 0 : 1
}

process.exit(await main())
