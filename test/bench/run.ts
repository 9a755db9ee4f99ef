// `npm run bench`: Posthouse beside a private Postfix on this machine, in the same run, turn about; a table and a JSON file.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { missing, needs } from '../scenarios/needs.ts'
import { startPostfixSide, tuned } from './postfix-side.ts'
import { startSmtpSink } from '../tools/postfix.ts'
import { loadOnce, median, type LoadRun } from './load.ts'

const { values: flags } = parseArgs({ options: { smoke: { type: 'boolean' }, json: { type: 'string' }, rounds: { type: 'string' } } })

const throughput = async (folder: string): Promise<LoadRun[]> => {
  const sink = await startSmtpSink()
  const postfix = await startPostfixSide(folder, sink)
  const runs: LoadRun[] = []
  for (const clients of flags.smoke === true ? [100] : [40, 100, 200]) {
    for (let round = 0; round < Number(flags.rounds ?? 3); round++) {
      const run = await loadOnce(postfix, { clients, messages: flags.smoke === true ? 2000 : 6000, bytes: 4096 })
      console.log(`${run.side} ${clients} clients: ${Math.round(run.perSecond)}/s`)
      runs.push(run)
    }
  }
  await postfix.stop()
  await sink.stop()
  return runs
}

const main = async (): Promise<number> => {
  const lacks = missing(['postfix'])
  for (const need of lacks) console.log(`not run, ${need} is missing: ${needs[need].install}`)
  if (lacks.length > 0) return process.env.CI === 'true' ? 1 : 0
  console.log(`${cpus().length} cores, ${cpus()[0]?.model ?? ''}`)
  for (const [name, { value, why }] of Object.entries(tuned)) console.log(`  postfix ${name} = ${value}   (${why})`)
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-bench-'))
  chmodSync(folder, 0o711) // Postfix's daemons run as another user
  const runs = await throughput(folder)
  console.log(`median ${Math.round(median(runs.map(({ perSecond }) => perSecond)))}/s`)
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(runs, undefined, 2))
  rmSync(folder, { recursive: true, force: true })
  return 0
}

process.exit(await main())
