// `npm run soak`: an hour of the operator's list-watch against a real API server that misbehaves; how many changes it missed.
import { argumentsOf, numberAbove0 } from '../tools/arguments.ts'
import { build, forApiServer } from './tools/build.ts'
import { isProof, soak } from './tools/soak.ts'

const usage = `npm run soak                     an hour of watching a real API server that is killed and frozen; counts the changes that were missed
npm run soak -- --minutes 5      shorter
                --writes 20      changes written a second
                --seed N         the same troubles again
                --json           the result as JSON`

const { values } = argumentsOf(usage, {
  options: { minutes: { type: 'string', default: '60' }, writes: { type: 'string', default: '20' }, seed: { type: 'string' }, json: { type: 'boolean' } },
})
const numberOf = (name: string, text: string): number => numberAbove0(`--${name}`, text, usage)

const say = values.json === true ? console.error : console.log
const wanted = {
  seconds: numberOf('minutes', values.minutes) * 60,
  writesPerSecond: numberOf('writes', values.writes),
  seed: values.seed === undefined ? Date.now() % 1_000_000 : numberOf('seed', values.seed),
}
await build(forApiServer, say)
const result = await soak({ ...wanted, roundSeconds: 60, say })
if (values.json === true) console.log(JSON.stringify(result, undefined, 2))
else
  console.log(`
${(result.seconds / 60).toFixed(0)} minutes, seed ${result.seed}: ${Object.entries(result.troubles).map(([kind, times]) => `${kind} ${times}×`).join(', ')}
${result.writes} changes written; three caches were told ${result.told}, ${result.foundByList} of them by a new beginning (${result.pages} lists in pages)
all was known at the latest ${result.slowestRestSeconds.toFixed(1)} s after the last change
${result.missed} missed`)
process.exitCode = isProof(result) ? 0 : 1
