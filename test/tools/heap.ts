// What a process holds once its garbage is collected, in MB.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export const heapMegabytes = (): number => (collect(), process.memoryUsage().heapUsed / 1e6)

/** Buffers that a collection finds unused are freed beside it, on another thread; the next one waits for that. */
export const collected = async (): Promise<NodeJS.MemoryUsage> => {
  collect()
  await new Promise(setImmediate)
  collect()
  return process.memoryUsage()
}
