// Every metric is moved by something: a small exchange with a real relay, then its page.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { exercise, exerciseManifests } from './tools/exercise.ts'
import { startStandalone, type Standalone } from './tools/relay-process.ts'
import { until } from './tools/until.ts'
import { startSink, type Sink } from './tools/sink.ts'
import { createMetrics } from '../relay/report/index.ts'

let relay: Standalone
let sink: Sink
const folder = mkdtempSync(join(tmpdir(), 'posthouse-metrics-'))

before(async () => {
  sink = await startSink()
  mkdirSync(join(folder, 'manifests'))
  writeFileSync(join(folder, 'manifests', 'all.yaml'), exerciseManifests(sink.port))
  relay = await startStandalone({ folder, manifests: join(folder, 'manifests') })
})
after(async () => {
  await relay?.stop()
  await sink?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Names with at least one value above zero. */
const moved = async (): Promise<Set<string>> => {
  const page = await (await fetch(`http://127.0.0.1:${relay.httpPort}/metrics`)).text()
  for (const line of page.split('\n').filter((one) => one.startsWith('posthouse_'))) assert.match(line, /[{,]relay="mail\/main"[,}]/)
  return new Set([...page.matchAll(/^(posthouse_[a-z_]+?)(?:_count)?(?:\{[^}]*\})? (?!0$)[\d.e+-]+$/gm)].map(([, name]) => name!))
}
/** What moves only when something is broken, or back and forth too quickly to be seen. */
const exceptional = ['double_bounces_total', 'queue_lost_total', 'queue_records_unreadable_total', 'queue_overdue_total', 'queue_purge_faults_total', 'trace_events_lost_total', 'delivery_in_flight', 'queue_oldest_ready_seconds'].map((name) => `posthouse_${name}`)

it('after 1 refused, 1 warned, 1 delivered and 1 returned mail every metric but 8 exceptional ones has a value above 0', async () => {
  const seen = new Set<string>()
  const look = async (): Promise<Set<string>> => {
    for (const name of await moved()) seen.add(name)
    return seen
  }
  // a connection is open only meanwhile
  await exercise(relay, () => until('queue_deliveries', async () => (await look()).has('posthouse_queue_deliveries'), 60_000))
  const all = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name).filter((name) => name.startsWith('posthouse_') && !exceptional.includes(name))
  const missing = async (): Promise<string[]> => {
    await look()
    return all.filter((name) => !seen.has(name))
  }
  await until('every metric', async () => (await missing()).length === 0).catch(async () => assert.deepEqual(await missing(), []))
})
