// Keeps the nats-server of a standalone going: one that ended is started anew, and so is one that cannot write, once its volume has room; by itself it would refuse
// every write from the first that failed. One that does not end when it is told to is killed. Writes nothing itself.
import { statfsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startNats, type NatsOptions, type NatsProcess } from './nats-process.ts'

export type KeptNats = Pick<NatsProcess, 'url' | 'monitorUrl' | 'stop'>

const usual = { lookEveryMs: 5_000, endsWithinMs: 20_000 }
const unwellLooks = 6 // in a row: one that has turned JetStream off, or waits for itself, does so for ever
const againMs = [1_000, 2_000, 5_000, 10_000, 30_000]
const roomBytes = 10_000_000

/** Resolves when it runs. Throws when it does not start at first; later it is tried for ever, and `say` is told. */
export const keepNats = async (options: NatsOptions, say: (line: string) => void, { lookEveryMs, endsWithinMs } = usual): Promise<KeptNats> => {
  let nats = await startNats(options)
  const stopping = new AbortController()
  const keep = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const looking = new AbortController()
      const ended = nats.exited.then((code) => `nats-server ended (${code ?? 'killed'})`)
      const why = await Promise.race([ended, untilUnwell(nats, lookEveryMs, AbortSignal.any([stopping.signal, looking.signal]))])
      looking.abort()
      if (stopping.signal.aborted || why === undefined) return
      say(`${why}; its log is ${options.folder}/nats.log. Mail is answered 451 until it runs again`)
      await untilRoom(options.folder, say, stopping.signal)
      await end(nats, endsWithinMs)
      nats = (await startAgain(options, stopping.signal)) ?? nats
      if (!stopping.signal.aborted) say('nats-server runs again')
    }
  }
  const kept = keep()
  return {
    url: nats.url,
    monitorUrl: nats.monitorUrl,
    stop: async (signal) => {
      stopping.abort()
      await kept
      await nats.stop(signal)
    },
  }
}

/** One that could not write may hang at its end as well. */
const end = async (nats: NatsProcess, withinMs: number): Promise<void> => {
  const kill = setTimeout(() => void nats.stop('SIGKILL'), withinMs)
  await nats.stop()
  clearTimeout(kill)
}

/** Undefined: told to stop. A question that is not answered says little: it may be busy. One of many does not end, as after a purge on a full disk. */
const untilUnwell = async ({ monitorUrl }: NatsProcess, lookEveryMs: number, signal: AbortSignal): Promise<string | undefined> => {
  for (let unwell = 0; await pause(lookEveryMs, signal); ) {
    const why = await whyUnwell(monitorUrl, lookEveryMs)
    unwell = why === undefined ? 0 : unwell + 1
    if (why?.includes('write error') || unwell >= unwellLooks) return why
  }
  return undefined
}

const whyUnwell = async (monitorUrl: string, ms: number): Promise<string | undefined> => {
  try {
    const answer = await fetch(`${monitorUrl}/healthz`, { signal: AbortSignal.timeout(ms) })
    const { error } = (await answer.json()) as { error?: string }
    return error === undefined ? undefined : `nats-server cannot write (${error})`
  } catch {
    return 'nats-server does not answer at /healthz' // nor does who breaks off in the middle
  }
}

const untilRoom = async (folder: string, say: (line: string) => void, signal: AbortSignal): Promise<void> => {
  const hasRoom = (): boolean => {
    try {
      const { bavail, bsize } = statfsSync(folder)
      return bavail * bsize >= roomBytes
    } catch {
      return true // what is wrong with the folder is said when it is used
    }
  }
  if (hasRoom()) return
  say(`the disk of ${folder} is full: nats-server is started anew when ${roomBytes / 1e6} MB are free`)
  while (!hasRoom()) if (!(await pause(1_000, signal))) return
}

const startAgain = async (options: NatsOptions, signal: AbortSignal): Promise<NatsProcess | undefined> => {
  for (let tries = 0; await pause(againMs[Math.min(tries, againMs.length - 1)]!, signal); tries++) {
    try {
      return await startNats(options)
    } catch {
      continue // its port may still be taken, or its disk be full again
    }
  }
  return undefined
}

/** False: told to stop. */
const pause = (ms: number, signal: AbortSignal): Promise<boolean> => sleep(ms, true, { signal }).catch(() => false)
