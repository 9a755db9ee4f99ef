// `posthouse schedule`: the first attempts of a RetrySchedule in words. Reads only.
import type { Command } from 'commander'
import { printDuration } from '../crds/index.ts'
import { builtIn, printProblem, readManifests, scheduleOf } from '../operator/index.ts'
import { nextAttempt, type DeferClass } from '../relay/deliver/index.ts'
import { isDelayNoticeDue, type Schedule } from '../relay/snapshot/index.ts'
import { Failure } from './failure.ts'
import { print, printJson } from './terminal.ts'

export const scheduleCommand = (program: Command): void => {
  program
    .command('schedule')
    .description('the first twelve attempts of a RetrySchedule, in words')
    .argument('[name]', 'name of the RetrySchedule; without one, the schedule that holds where none is named')
    .option('-f, --file <dir>', 'folder with the manifests')
    .option('--json', 'the same as JSON, in seconds from arrival')
    .action(run)
}

const run = (name: string | undefined, { file, json }: { readonly file?: string; readonly json?: boolean }): void => {
  const schedule = find(name, file)
  if (json === true) return printJson({ schedule: schedule.manifest, giveUpAfter: schedule.giveUpAfter, courses: coursesOf(schedule, shown) })
  for (const line of inWords(schedule)) print(line)
}

const shown = 12

const find = (name: string | undefined, file: string | undefined): Schedule => {
  if (name === undefined) return builtIn
  if (file === undefined) throw new Failure('name the folder with the manifests: posthouse schedule NAME -f DIR')
  const { declared, problems } = readManifests(file)
  const found = declared.schedules.find(({ metadata }) => metadata.name === name)
  if (found) return scheduleOf(found)
  const known = declared.schedules.map(({ metadata }) => metadata.name)
  const broken = problems.filter(({ level }) => level === 'error').map((problem) => `\n${printProblem(problem)}`)
  throw new Failure(`no RetrySchedule ${name} in ${file}${known.length > 0 ? `; it has ${known.join(', ')}` : ''}${broken.join('')}`)
}

/** Seconds from arrival; `waited`: since the attempt before. */
type Step = { readonly kind: 'attempt'; readonly attempt: number; readonly at: number; readonly waited: number } | { readonly kind: 'delay-notice' | 'given-up'; readonly at: number }
type Course = { readonly when?: DeferClass; readonly steps: readonly Step[] }

/** As if every attempt failed at once and chance stayed in the middle. */
const coursesOf = (schedule: Schedule, attempts: number): Course[] => [
  { steps: stepsOf(schedule, 'Other', attempts) },
  ...schedule.overrides.map(({ when }) => ({ when, steps: stepsOf(schedule, when, attempts) })),
]

const stepsOf = (schedule: Schedule, why: DeferClass, attempts: number): Step[] => {
  const steps: Step[] = [{ kind: 'attempt', attempt: 1, at: 0, waited: 0 }]
  let now = 0
  let noticed = false
  for (let attempt = 1; ; attempt++) {
    if (isDelayNoticeDue({ schedule, arrivedAt: 0, delayNoticed: noticed }, now)) {
      noticed = true
      steps.push({ kind: 'delay-notice', at: now / 1000 })
    }
    const next = nextAttempt({ schedule, class: why, attempt, arrivedAt: 0, now, random: 0.5 })
    if (next.kind === 'give-up') return [...steps, { kind: 'given-up', at: now / 1000 }]
    if (attempt >= attempts) return steps
    steps.push({ kind: 'attempt', attempt: attempt + 1, at: next.at / 1000, waited: (next.at - now) / 1000 })
    now = next.at
  }
}

export const inWords = (schedule: Schedule, attempts = shown): string[] => [
  `${schedule.manifest}: waits count from the end of the last attempt; times count from arrival`,
  ...coursesOf(schedule, attempts).flatMap(({ when, steps }) => [...(when === undefined ? [] : ['', `while the last attempt failed with ${when}:`]), ...steps.map(lineOf), ...andSoOn(schedule, steps)]),
]

const lineOf = (step: Step): string => {
  if (step.kind !== 'attempt') return `    ${printDuration(step.at)}: ${step.kind === 'given-up' ? 'given up; the sender is told that it could not be delivered' : 'the sender is told that the message is late'}`
  const text = step.attempt === 1 ? 'at once, when the message arrives' : `${printDuration(step.waited)} later, ${printDuration(step.at)} after arrival`
  return `${String(step.attempt).padStart(2)}. ${text}`
}

const andSoOn = ({ giveUpAfter }: Schedule, steps: readonly Step[]): string[] =>
  steps.at(-1)?.kind === 'given-up' ? [] : [`    … and so on; given up ${printDuration(giveUpAfter)} after arrival, and the sender is told`]
