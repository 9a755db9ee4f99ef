// Lists numbered stories, runs one or all, each in a process of its own with a time limit. What `npm run scenario` and
// `npm run test:cluster` have in common; where the stories are and what they share is said by a Suite.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from '../tools/child.ts'
import { inOwnNetwork } from '../tools/own-network.ts'
import { catalogue, named, type Listed } from './catalogue.ts'
import { missing, needs, type Need } from './needs.ts'

export type Suite = {
  /** The folder that holds the stories. */
  readonly home: string
  /** How a person calls it. */
  readonly command: string
  readonly usage: string
  readonly flags: { readonly json?: boolean | undefined; readonly keep?: boolean | undefined }
  readonly positionals: readonly string[]
  /** What is run when no story is named; undefined: nothing, they are listed. */
  readonly byDefault: (all: readonly Listed[]) => readonly Listed[] | undefined
  /** How many run beside each other, those apart that mostly wait. */
  readonly atOnce: number
  /** Made once for all that run, when at least one does. */
  readonly share?: (say: (line: string) => void) => Promise<Shared>
}

export type Shared = {
  /** For the process of each story. */
  readonly env: Readonly<Record<string, string>>
  /** Writes into the folder of a story that failed what may explain it; resolves with the lines of it that are worth printing. */
  explain(folder: string): Promise<readonly string[]>
  stop(passed: boolean): Promise<void>
}

type Result = { readonly name: string; readonly title: string; readonly result: 'passed' | 'failed' | 'not run'; readonly seconds: number; readonly missing: readonly Need[]; readonly notes: Readonly<Record<string, string>>; readonly without: readonly string[] }

const known = new Map<Need, boolean>()

/** Resolves with the exit code: 0, 1 when one failed, 2 when one that was named is not there. */
export const runSuite = async (suite: Suite): Promise<number> => {
  const { positionals } = suite
  const all = await catalogue(suite.home)
  const unknown = positionals.filter((typed) => named(all, typed).length === 0)
  if (unknown.length > 0) return say(`no scenario is called ${unknown.join(', ')}; the list: ${suite.command}`), 2
  const wanted = positionals.length > 0 ? [...new Set(positionals.flatMap((typed) => named(all, typed)))] : suite.byDefault(all)
  if (wanted === undefined) return list(suite, all), 0
  const one = wanted.some(({ story }) => missing(story.needs, known).length === 0)
  const shared = one ? await suite.share?.(info(suite)) : undefined
  let code = 1
  try {
    code = report(suite, await runAll({ suite, shared, info: info(suite) }, wanted))
  } finally {
    await shared?.stop(code === 0)
  }
  return code
}

type Running = { readonly suite: Suite; readonly shared: Shared | undefined; readonly info: (line: string) => void }

const runAll = async (running: Running, wanted: readonly Listed[]): Promise<Result[]> => {
  // those that mostly wait run beside the others: their sleep costs no processor
  const beside = wanted.filter(({ story }) => story.mostlyWaits === true).map((listed) => runOrSkip(running, listed))
  const results: Result[] = []
  const others = wanted.filter(({ story }) => story.mostlyWaits !== true).values()
  const lane = async (): Promise<void> => {
    for (const listed of others) results.push(await runOrSkip(running, listed))
  }
  await Promise.all(Array.from({ length: running.suite.atOnce }, lane))
  return [...results, ...(await Promise.all(beside))].toSorted((a, b) => a.name.localeCompare(b.name))
}

const list = ({ flags, usage }: Suite, all: readonly Listed[]): void => {
  if (flags.json === true) return say(JSON.stringify(all.map(({ name, story }) => ({ name, title: story.title, needs: story.needs, missing: missing(story.needs, known) })), undefined, 2))
  for (const { name, story } of all) {
    const lacks = missing(story.needs, known)
    say(`${name.slice(0, 4)}  ${story.title}${story.needs.length > 0 ? ` (needs ${story.needs.join(', ')})` : ''}`)
    for (const need of lacks) say(`      not here: ${need}: ${needs[need].install}`)
  }
  say(`\n${usage}`)
}

const runOrSkip = async (running: Running, listed: Listed): Promise<Result> => {
  const lacks = missing(listed.story.needs, known)
  const { name } = listed
  const { info } = running
  const title = listed.story.title
  if (lacks.length > 0) {
    info(`${name.slice(0, 4)}  not run  ${title}`)
    for (const need of lacks) info(`      ${need}: ${needs[need].install}`)
    return { name, title, result: 'not run', seconds: 0, missing: lacks, notes: {}, without: [] }
  }
  return runOne(running, listed)
}

const runOne = async ({ suite, shared, info }: Running, { name, story }: Listed): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), `posthouse-${name.slice(0, 4)}-`))
  chmodSync(folder, 0o711) // Postfix's and Exim's daemons run as other users
  const started = Date.now()
  const limit = (story.limitSeconds ?? 400) * 1000
  const place = story.needs.includes('own network') ? inOwnNetwork : []
  const [command, ...args] = [...place, process.execPath, join(import.meta.dirname, 'one.ts'), name, folder, suite.home]
  const child = startChild(command, args, { env: { ...shared?.env } })
  const notes: Record<string, string> = {}
  const without: string[] = []
  child.onLine((line) => {
    const note = /^note: (.+?) = (.*)$/.exec(line)
    if (note) notes[note[1]!] = note[2]!
    if (line.startsWith('without: ')) without.push(line.slice(9))
    if (line.startsWith('step: ')) progress(`${name.slice(0, 4)}  …  ${line.slice(6)}`)
  })
  const slow = setTimeout(() => void child.stop(), limit)
  const code = await child.exited
  clearTimeout(slow)
  child.signal('SIGKILL')
  const seconds = (Date.now() - started) / 1000
  const passed = code === 0
  progress('')
  info(`${name.slice(0, 4)}  ${passed ? 'passed ' : 'FAILED '}  ${story.title}  (${seconds.toFixed(1)} s)`)
  if (passed && without.length > 0) info(`      passed without: ${without.join('; ')}`)
  for (const [what, value] of Object.entries(notes)) info(`        ${what}: ${value}`)
  const explained = passed ? [] : ((await shared?.explain(folder)) ?? [])
  if (!passed) info(`${child.output().split('\n').slice(-60).join('\n')}\n      ${seconds * 1000 > limit ? `past its limit of ${limit / 1000} s; ` : ''}its folder: ${folder}${explained.map((line) => `\n      ${line}`).join('')}`)
  else if (suite.flags.keep !== true) rmSync(folder, { recursive: true, force: true })
  return { name, title: story.title, result: passed ? 'passed' : 'failed', seconds, missing: [], notes, without }
}

const report = (suite: Suite, results: readonly Result[]): number => {
  const line = info(suite)
  const count = (result: Result['result']): number => results.filter((one) => one.result === result).length
  // where everything was installed for it, a scenario that does not run proves nothing and is a failure
  const strict = process.env.CI === 'true' && count('not run') > 0
  if (suite.flags.json === true) say(JSON.stringify(results, undefined, 2))
  if (strict) line(`CI=true: ${count('not run')} scenarios that did not run count as failed`)
  const failed = count('failed') + (strict ? count('not run') : 0)
  const parts = results.filter(({ result, without }) => result === 'passed' && without.length > 0).length
  line(`${count('passed')} passed${parts > 0 ? ` (${parts} without a part)` : ''}, ${failed} failed, ${strict ? 0 : count('not run')} skipped`)
  return failed === 0 ? 0 : 1
}

const say = (line: string): void => console.log(line)
const info = ({ flags }: Suite) => (line: string): void => (flags.json === true ? console.error(line) : console.log(line))
const progress = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line.slice(0, 110)}`))
