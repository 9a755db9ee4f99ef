// Posthouse and Postfix turn about, at each number of clients: A B A B, so that what else the machine does hits both.
import { startPostfixSide } from './postfix-side.ts'
import { startPosthouseSide } from './posthouse-side.ts'
import { loadOnce, median, type LoadRun, type Side } from './load.ts'

export type Compared = {
  readonly what: string
  readonly clients: number
  readonly messages: number
  readonly posthouse: number // mails a second, median of the rounds
  readonly postfix: number
  readonly ratio: number
  readonly relayPeakMiB: number
  readonly runs: readonly LoadRun[]
}

export type Hop = { readonly port: number; arrived(): number; stop(): Promise<void> }

/** `startHop` makes a next host for each side. */
export const compare = async (given: { folder: string; what: string; clients: readonly number[]; rounds: number; messages: (side: 'Posthouse' | 'Postfix') => number; startHop: () => Promise<Hop>; postfixSettings?: Record<string, string>; say: (line: string) => void }): Promise<Compared[]> => {
  const hops = [await given.startHop(), await given.startHop()] as const
  const posthouse = await startPosthouseSide(given.folder, hops[0], () => hops[0].arrived())
  const postfix = await startPostfixSide(given.folder, hops[1], () => hops[1].arrived(), given.postfixSettings)
  try {
    const results: Compared[] = []
    for (const clients of given.clients) {
      const runs: LoadRun[] = []
      for (let round = 0; round < given.rounds; round++) for (const side of [posthouse, postfix]) runs.push(await oneRun(side, clients, given))
      results.push({ ...summed(given.what, clients, runs), relayPeakMiB: Math.round(posthouse.relay().peakMemory()) })
    }
    return results
  } finally {
    await Promise.all([posthouse.stop(), postfix.stop(), ...hops.map((hop) => hop.stop())])
  }
}

const oneRun = async (side: Side, clients: number, given: { what: string; messages: (side: 'Posthouse' | 'Postfix') => number; say: (line: string) => void }): Promise<LoadRun> => {
  const run = await loadOnce(side, { clients, messages: given.messages(side.name), bytes: 4096 })
  given.say(`${given.what}, ${clients} clients: ${side.name.padEnd(9)} ${Math.round(run.perSecond)}/s`)
  return run
}

const summed = (what: string, clients: number, runs: readonly LoadRun[]): Omit<Compared, 'relayPeakMiB'> => {
  const of = (side: string): number => median(runs.filter((run) => run.side === side).map(({ perSecond }) => perSecond))
  const [posthouse, postfix] = [of('Posthouse'), of('Postfix')]
  return { what, clients, messages: runs[0]!.messages, posthouse: Math.round(posthouse), postfix: Math.round(postfix), ratio: Number((posthouse / postfix).toFixed(2)), runs }
}
