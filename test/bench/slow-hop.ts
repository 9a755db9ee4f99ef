// The next host takes 5 to 500 ms for each mail: how many deliveries are under way at once decides.
import { join } from 'node:path'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startChild } from '../tools/child.ts'
import { until } from '../tools/until.ts'
import type { Hop } from './throughput.ts'

export const startSlowHop = async (): Promise<Hop> => {
  const port = await freePort()
  const child = startChild(process.execPath, [join(import.meta.dirname, 'slow-sink.ts'), String(port)])
  let arrived = 0
  child.process.stdout!.on('data', (text: string) => (arrived = Number([...text.matchAll(/mesg=(\d+)\r/g)].at(-1)?.[1] ?? arrived)))
  await until('the slow next host to listen', () => child.stdout().includes('mesg='), 20_000)
  return { port, arrived: () => arrived, stop: async () => void (await child.stop(1000)) }
}
