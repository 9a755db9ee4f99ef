// The list-watch of the operator for as long as one likes, against a real API server that is killed, frozen and made to forget:
// each change is written down, and at every rest the caches must hold exactly what was written.
import { createKube, Cache, listWatch, openAccess, pathOf, type Kube, type KubeObject, type Resource } from '../../../operator/kube/index.ts'
import { chance } from '../../tools/mails.ts'
import { sleep, until } from '../../tools/until.ts'
import { startApiServer, type ApiServer } from './api-server.ts'

export type SoakOptions = {
  readonly seconds: number
  /** Between two rests, each with one trouble in it. */
  readonly roundSeconds: number
  readonly writesPerSecond: number
  readonly seed: number
  readonly say: (line: string) => void
}

export type SoakResult = {
  readonly seed: number
  readonly seconds: number
  readonly writes: number
  readonly troubles: Readonly<Record<string, number>>
  /** Changes that caches were told, of all three together. */
  readonly told: number
  /** Told by a new list only: the watch that should have told them was cut off. */
  readonly foundByList: number
  /** Lists in pages: this server has watches that begin with all there is, and none is needed. Of 1 object is no page, but a question for the server's version. */
  readonly pages: number
  /** What a cache still did not know at a rest, a minute after the last write. */
  readonly missed: number
  readonly slowestRestSeconds: number
}

/** Of an API server that took nothing, or of caches that heard nothing, nothing can be missed. */
export const isProof = ({ missed, writes, told }: SoakResult): boolean => missed === 0 && writes > 0 && told > writes

const configMaps: Resource = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }
const namespace = 'default'
const labelled = { soak: 'yes' }
const names = 400

/** Three ways in which the operator looks: whole objects, only their metadata, and those of a label. */
const looks = [{}, { metadataOnly: true }, { labelSelector: 'soak=yes' }] as const

export const soak = async (options: SoakOptions): Promise<SoakResult> => {
  const api = await startApiServer({ flags: ['--etcd-compaction-interval=60s'] })
  const end = new AbortController()
  try {
    const writer = createKube(await openAccess(api.kubeconfig))
    const caches = await follow(api, end.signal, options.say)
    return await rounds({ options, api, writer, caches, book: new Map(), dice: chance(options.seed) })
  } finally {
    end.abort()
    await api.stop()
  }
}

type Followed = { readonly cache: Cache; told: number; pages: number }

const follow = async (api: ApiServer, signal: AbortSignal, say: (line: string) => void): Promise<Followed[]> => {
  const caches = await Promise.all(
    looks.map(async (how) => {
      const followed: Followed = { cache: new Cache(({ before }) => void (followed.told += before === undefined && !followed.cache.synced ? 0 : 1)), told: 0, pages: 0 }
      const kube = createKube(await openAccess(api.kubeconfig), { onAnswer: ({ query }) => void (followed.pages += Number(query?.['limit'] ?? 1) > 1 ? 1 : 0) })
      void listWatch({ kube, resource: configMaps, namespace, ...how, feed: followed.cache, onTrouble: ({ message }) => say(`    a watch had trouble: ${message.slice(0, 120)}`) }, signal)
      return followed
    }),
  )
  await until('all there is at first', () => caches.every(({ cache }) => cache.synced), 60_000)
  return caches
}

type Soaking = { readonly options: SoakOptions; readonly api: ApiServer; readonly writer: Kube; readonly caches: readonly Followed[]; readonly book: Map<string, string>; readonly dice: ReturnType<typeof chance> }

const rounds = async (soaking: Soaking): Promise<SoakResult> => {
  const { options, caches } = soaking
  const began = Date.now()
  const counts = { writes: 0, missed: 0, slowest: 0, troubles: {} as Record<string, number> }
  for (let round = 1; Date.now() - began < options.seconds * 1000; round++) {
    const kind = troubles[(options.seed + round) % troubles.length]! // each in its turn
    counts.troubles[kind] = (counts.troubles[kind] ?? 0) + 1
    const [writes] = await Promise.all([writeFor(soaking), trouble(kind, soaking)])
    counts.writes += writes
    const rest = await restOf(soaking)
    counts.missed += rest.missed
    counts.slowest = Math.max(counts.slowest, rest.seconds)
    options.say(`${((Date.now() - began) / 60_000).toFixed(1)} min  ${kind.padEnd(14)} ${counts.writes} changes written, ${sum(caches, ({ told }) => told)} told, ${sum(caches, ({ cache }) => cache.foundByList)} of them by a new beginning, ${counts.missed} missed; all known ${rest.seconds.toFixed(1)} s after the last`)
  }
  return {
    seed: options.seed,
    seconds: (Date.now() - began) / 1000,
    writes: counts.writes,
    troubles: counts.troubles,
    told: sum(caches, ({ told }) => told),
    foundByList: sum(caches, ({ cache }) => cache.foundByList),
    pages: sum(caches, ({ pages }) => pages),
    missed: counts.missed,
    slowestRestSeconds: counts.slowest,
  }
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((total, item) => total + of(item), 0)

/** Writes until the round is over; what the server did not take is not in the book. */
const writeFor = async ({ options, writer, book, dice }: Soaking): Promise<number> => {
  const over = Date.now() + options.roundSeconds * 1000
  let writes = 0
  while (Date.now() < over) {
    const name = `soak-${dice.below(names)}`
    if (await writeOne(writer, book, name, dice)) writes += 1
    await sleep(1000 / options.writesPerSecond)
  }
  return writes
}

/** An answer that was lost leaves it open what is there: the book is set right by a look. */
const writeOne = async (kube: Kube, book: Map<string, string>, name: string, dice: Soaking['dice']): Promise<boolean> => {
  const place = { namespace, name }
  const isThere = book.has(name)
  try {
    if (isThere && dice.below(4) === 0) {
      await kube.call({ method: 'DELETE', path: pathOf(configMaps, place) })
      book.delete(name)
      return true
    }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...place, labels: labelled }, data: { said: String(dice.next()) } }
    const { metadata } = await kube.call<KubeObject>(isThere ? { method: 'PUT', path: pathOf(configMaps, place), body: object } : { method: 'POST', path: pathOf(configMaps, { namespace }), body: object })
    book.set(name, metadata.resourceVersion!)
    return true
  } catch {
    await correct(kube, book, name)
    return false
  }
}

const correct = async (kube: Kube, book: Map<string, string>, name: string): Promise<void> => {
  const version = await until(`a look at ${name}`, () => kube.call<KubeObject>({ path: pathOf(configMaps, { namespace, name }) }).then(({ metadata }) => metadata.resourceVersion!, ({ status }: { status?: number }) => (status === 404 ? 'gone' : undefined)), 180_000, 500)
  if (version === 'gone') book.delete(name)
  else book.set(name, version)
}

const troubles = ['none', 'killed', 'frozen', 'ended', 'killed twice', 'frozen long'] as const

/** In the middle of a round, so that it falls among writes. `frozen long` outlasts the silence after which a watch is taken for dead. */
const trouble = async (kind: (typeof troubles)[number], { api, options: { roundSeconds } }: Soaking): Promise<void> => {
  const restart = async (signal: 'SIGTERM' | 'SIGKILL', awayMs: number): Promise<void> => {
    await api.interrupt(signal)
    await sleep(awayMs)
    await api.resume()
  }
  const freeze = async (ms: number): Promise<void> => {
    api.freeze()
    await sleep(ms)
    api.thaw()
  }
  await sleep(roundSeconds * 300)
  if (kind === 'killed') await restart('SIGKILL', 1000)
  if (kind === 'ended') await restart('SIGTERM', 3000)
  if (kind === 'frozen') await freeze(8000)
  if (kind === 'frozen long') await freeze(Math.min(100_000, roundSeconds * 2500))
  if (kind === 'killed twice') {
    await restart('SIGKILL', 500)
    await restart('SIGKILL', 5000)
  }
}

/** Nothing is written any more: how long until every cache holds what the book says, and in how many names one does not. */
const restOf = async ({ caches, book }: Soaking): Promise<{ readonly missed: number; readonly seconds: number }> => {
  const began = Date.now()
  const wrong = (): number => sum(caches, ({ cache }) => differences(cache, book))
  await until('every cache to know', () => wrong() === 0, 160_000, 20).catch(() => undefined)
  return { missed: wrong(), seconds: (Date.now() - began) / 1000 }
}

const differences = (cache: Cache, book: ReadonlyMap<string, string>): number => {
  const held = new Map(cache.all().filter(({ metadata }) => metadata.name.startsWith('soak-')).map(({ metadata }) => [metadata.name, metadata.resourceVersion]))
  const unknown = [...book].filter(([name, version]) => held.get(name) !== version).length
  return unknown + [...held.keys()].filter((name) => !book.has(name)).length
}
