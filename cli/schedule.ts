// `posthouse schedule`: the first attempts of a RetrySchedule in words. Reads only.
import type { Command } from 'commander'
import { printDuration } from '../crds/index.ts'
import { builtIn, printProblem, readManifests, scheduleOf } from '../operator/index.ts'
import { nextAttempt, type DeferClass } from '../relay/deliver/index.ts'
import { isDelayNoticeDue, type Schedule } from '../relay/snapshot/index.ts'
import { Failure } from './failure.ts'
import { print } from './terminal.ts'

export const scheduleCommand = (program: Command): void => {
  program
    .command('schedule')
    .description('the first twelve attempts of a RetrySchedule, in words')
    .argument('[name]', 'name of the RetrySchedule; without one, the schedule that holds where none is named')
    .option('-f, --file <dir>', 'folder with the manifests')
    .action(run)
}

const run = (name: string | undefined, { file }: { readonly file?: string }): void => {
  for (const line of inWords(find(name, file))) print(line)
}

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

/** As if every attempt failed at once and chance stayed in the middle. */
export const inWords = (schedule: Schedule, attempts = 12): string[] => [
  `${schedule.manifest}: waits count from the end of the last attempt; times count from arrival`,
  ...course(schedule, 'Other', attempts),
  ...schedule.overrides.flatMap(({ when }) => ['', `while the last attempt failed with ${when}:`, ...course(schedule, when, attempts)]),
]

const course = (schedule: Schedule, why: DeferClass, attempts: number): string[] => {
  const lines = [line(1, 'at once, when the message arrives')]
  let now = 0
  let noticed = false
  for (let attempt = 1; ; attempt++) {
    if (isDelayNoticeDue({ schedule, arrivedAt: 0, delayNoticed: noticed }, now)) {
      noticed = true
      lines.push(`    ${printDuration(now / 1000)}: the sender is told that the message is late`)
    }
    const next = nextAttempt({ schedule, class: why, attempt, arrivedAt: 0, now, random: 0.5 })
    if (next.kind === 'give-up') return [...lines, `    ${printDuration(now / 1000)}: given up; the sender is told that it could not be delivered`]
    if (attempt >= attempts) return [...lines, `    … and so on; given up ${printDuration(schedule.giveUpAfter)} after arrival, and the sender is told`]
    lines.push(line(attempt + 1, `${printDuration((next.at - now) / 1000)} later, ${printDuration(next.at / 1000)} after arrival`))
    now = next.at
  }
}

const line = (attempt: number, text: string): string => `${String(attempt).padStart(2)}. ${text}`
