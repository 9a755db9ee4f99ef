// `npm run scenario`: lists the numbered scenarios, runs one or all, each in a process of its own with a time limit.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startChild } from '../tools/child.ts'
import { catalogue, named, type Listed } from './catalogue.ts'
import { missing, needs, type Need } from './needs.ts'

type Result = { readonly name: string; readonly title: string; readonly result: 'passed' | 'failed' | 'not run'; readonly seconds: number; readonly missing: readonly Need[]; readonly notes: Readonly<Record<string, string>> }

const usage = `npm run scenario                 lists them
npm run scenario s-08            runs one (or several), by number or name
npm run scenario -- --all        runs all that can run here
                    --needs-nothing   only those that need neither root nor another program
                    --json       prints the results as JSON
                    --keep       keeps the folder of a run that passed`

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean' }, 'needs-nothing': { type: 'boolean' }, 'no-root': { type: 'boolean' }, json: { type: 'boolean' }, keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
})

const known = new Map<Need, boolean>()

const main = async (): Promise<number> => {
  if (flags.help === true) return say(usage), 0
  const all = await catalogue()
  const wanted = choose(all)
  if (wanted === undefined) return list(all), 0
  if (wanted.length === 0) return say(`no scenario is called ${positionals.join(', ')}; the list: npm run scenario`), 2
  // those that mostly wait run beside the others: their sleep costs no processor
  const beside = wanted.filter(({ story }) => story.mostlyWaits === true).map(runOrSkip)
  const results: Result[] = []
  for (const listed of wanted) if (listed.story.mostlyWaits !== true) results.push(await runOrSkip(listed))
  return report([...results, ...(await Promise.all(beside))].toSorted((a, b) => a.name.localeCompare(b.name)))
}

/** Undefined: nothing was asked for but the list. */
const choose = (all: readonly Listed[]): readonly Listed[] | undefined => {
  if (positionals.length > 0) return positionals.flatMap((typed) => named(all, typed))
  if (flags['needs-nothing'] === true || flags['no-root'] === true) return all.filter(({ story }) => story.needs.length === 0)
  return flags.all === true ? all : undefined
}

const list = (all: readonly Listed[]): void => {
  if (flags.json === true) return say(JSON.stringify(all.map(({ name, story }) => ({ name, title: story.title, needs: story.needs, missing: missing(story.needs, known) })), undefined, 2))
  for (const { name, story } of all) {
    const lacks = missing(story.needs, known)
    say(`${name.slice(0, 4)}  ${story.title}${story.needs.length > 0 ? ` (needs ${story.needs.join(', ')})` : ''}`)
    for (const need of lacks) say(`      not here: ${need}: ${needs[need].install}`)
  }
  say(`\n${usage}`)
}

const runOrSkip = async (listed: Listed): Promise<Result> => {
  const lacks = missing(listed.story.needs, known)
  const { name } = listed
  const title = listed.story.title
  if (lacks.length > 0) {
    info(`${name.slice(0, 4)}  not run  ${title}`)
    for (const need of lacks) info(`      ${need}: ${needs[need].install}`)
    return { name, title, result: 'not run', seconds: 0, missing: lacks, notes: {} }
  }
  return runOne(listed)
}

const runOne = async ({ name, story }: Listed): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), `posthouse-${name.slice(0, 4)}-`))
  chmodSync(folder, 0o711) // Postfix's and Exim's daemons run as other users
  const started = Date.now()
  const limit = (story.limitSeconds ?? 120) * 1000
  const child = startChild(process.execPath, [join(import.meta.dirname, 'one.ts'), name, folder])
  const notes: Record<string, string> = {}
  child.onLine((line) => {
    const note = /^note: (.+?) = (.*)$/.exec(line)
    if (note) notes[note[1]!] = note[2]!
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
  for (const [what, value] of Object.entries(notes)) info(`        ${what}: ${value}`)
  if (!passed) info(`${child.output().split('\n').slice(-60).join('\n')}\n      ${seconds * 1000 > limit ? `past its limit of ${limit / 1000} s; ` : ''}its folder: ${folder}`)
  else if (flags.keep !== true) rmSync(folder, { recursive: true, force: true })
  return { name, title: story.title, result: passed ? 'passed' : 'failed', seconds, missing: [], notes }
}

const report = (results: readonly Result[]): number => {
  const count = (result: Result['result']): number => results.filter((one) => one.result === result).length
  // where everything was installed for it, a scenario that does not run proves nothing and is a failure
  const strict = process.env.CI === 'true' && count('not run') > 0
  if (flags.json === true) say(JSON.stringify(results, undefined, 2))
  if (strict) info(`CI=true: ${count('not run')} scenarios that did not run count as failed`)
  const failed = count('failed') + (strict ? count('not run') : 0)
  info(`${count('passed')} passed, ${failed} failed, ${strict ? 0 : count('not run')} skipped`)
  return failed === 0 ? 0 : 1
}

const say = (line: string): void => console.log(line)
const info = (line: string): void => (flags.json === true ? console.error(line) : console.log(line))
const progress = (line: string): void => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line.slice(0, 110)}`))

process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
process.exit(await main())
