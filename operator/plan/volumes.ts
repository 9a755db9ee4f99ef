// What the claims of a queue say of its volumes: storage.size is what was wished for, and claims that exist are not changed by it. Pure.
import { bytesOf, parseSize, type MailRelay } from '../../crds/index.ts'

type Claim = { readonly metadata: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> }; readonly status?: unknown }

/** By MailRelay: bytes of the smallest of its volumes; absent: none is there yet. */
export const smallestVolumes = (claims: readonly Claim[]): ReadonlyMap<string, number> => {
  const smallest = new Map<string, number>()
  for (const { metadata, status } of claims) {
    const { 'app.kubernetes.io/instance': relay, 'app.kubernetes.io/component': component } = metadata.labels ?? {}
    const bytes = parseSize((status as { capacity?: { storage?: string } } | undefined)?.capacity?.storage ?? '')
    if (relay === undefined || component !== 'queue' || bytes === undefined) continue
    const key = `${metadata.namespace}/${relay}`
    smallest.set(key, Math.min(bytes, smallest.get(key) ?? Infinity))
  }
  return smallest
}

/** What the queue may count on. `volume`: the smallest there is. */
export const queueBytesOf = ({ spec: { queue } }: MailRelay, volume: number | undefined): number => {
  const wished = bytesOf(queue.managed?.storage.size ?? queue.external?.size ?? '10Gi')
  return queue.managed && volume !== undefined ? Math.min(wished, volume) : wished
}

/** In words, where a volume is smaller than was wished for. */
export const smallerVolume = (relay: MailRelay, volume: number | undefined): string | undefined => {
  const size = relay.spec.queue.managed?.storage.size
  if (size === undefined || volume === undefined || volume >= bytesOf(size)) return undefined
  return `storage.size is ${size} and the smallest volume has ${Math.floor(volume / 2 ** 20)} MiB, which counts until the claims have grown`
}
