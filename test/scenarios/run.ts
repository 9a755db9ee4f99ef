// `npm run scenario`: lists the numbered scenarios, runs one or all, each in a process of its own with a time limit.
import { argumentsOf } from '../tools/arguments.ts'
import { runSuite } from './runner.ts'

const usage = `npm run scenario                 lists them
npm run scenario s-08            runs one (or several), by number or name
npm run scenario -- --all        runs all that can run here
                    --needs-nothing   only those that need neither root nor another program
                    --json       prints the results as JSON
                    --keep       keeps the folder of a run that passed`

const { values: flags, positionals } = argumentsOf(usage, {
  allowPositionals: true,
  options: { all: { type: 'boolean' }, 'needs-nothing': { type: 'boolean' }, 'no-root': { type: 'boolean' }, json: { type: 'boolean' }, keep: { type: 'boolean' } },
})

process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
process.exit(
  await runSuite({
    home: import.meta.dirname,
    command: 'npm run scenario',
    usage,
    atOnce: flags['needs-nothing'] === true || flags['no-root'] === true ? 2 : 1, // those that need more fill volumes, stall networks and run a machine: that is load enough
    flags,
    positionals,
    byDefault: (all) => {
      if (flags['needs-nothing'] === true || flags['no-root'] === true) return all.filter(({ story }) => story.needs.length === 0)
      return flags.all === true ? all : undefined
    },
  }),
)
