// A real Prometheus on loopback that scrapes what it is told every second, with rules; and promtool.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../../cli/standalone/nats-process.ts'
import { runChild, startChild } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { programPath } from './build.ts'

export type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }
export type Parsed = { readonly type: string; readonly name?: string; readonly [field: string]: unknown }
export type Prometheus = {
  /** Throws with Prometheus' own words. */
  query(expr: string): Promise<Sample[]>
  /** The expression as Prometheus understands it. */
  parse(expr: string): Promise<Parsed>
  rules(): Promise<{ readonly name: string; readonly health: string; readonly lastError?: string }[]>
  /** Pages that were scraped without a fault. */
  up(): Promise<number>
  stop(): Promise<unknown>
}

/** `pages`: job → host:port of its /metrics. */
export const startPrometheus = async ({ folder, pages, rules }: { readonly folder: string; readonly pages: Readonly<Record<string, string>>; readonly rules: string }): Promise<Prometheus> => {
  const port = await freePort()
  const jobs = Object.entries(pages).map(([job, target]) => ({ job_name: job, static_configs: [{ targets: [target] }] }))
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({ global: { scrape_interval: '1s', evaluation_interval: '1s' }, rule_files: [rules], scrape_configs: jobs }))
  const args = [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn']
  const child = startChild(programPath('prometheus'), args, { log: join(folder, 'prometheus.log') })
  const ask = async <T>(path: string, asked: Record<string, string> = {}): Promise<T> => {
    const answer = (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(asked).toString()}`)).json()) as { status: string; data: T; error?: string }
    if (answer.status !== 'success') throw new Error(`${asked.query ?? path}: ${answer.error ?? 'no success'}`)
    return answer.data
  }
  await until('Prometheus', async () => child.running() && (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok, 60_000)
  const query = async (expr: string): Promise<Sample[]> => (await ask<{ result: Sample[] }>('query', { query: expr })).result
  return {
    query,
    parse: (expr) => ask<Parsed>('parse_query', { query: expr }),
    rules: async () => (await ask<{ groups: { rules: { name: string; health: string; lastError?: string }[] }[] }>('rules')).groups.flatMap((group) => group.rules),
    up: async () => (await query('up == 1')).length,
    stop: () => child.stop(),
  }
}

/** Throws with what it printed where it says no. */
export const promtool = async (args: readonly string[], input?: string): Promise<string> => {
  const { code, output } = await runChild(programPath('promtool'), args, { mayFail: true, forMs: 120_000, ...(input !== undefined && { input }) })
  if (code !== 0) throw new Error(output)
  return output
}
