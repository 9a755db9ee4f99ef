// Secrets by name: read when a manifest names them, again when their version changed; and those we write ourselves.
import { isEqual, type Applier } from './apply/index.ts'
import { KubeError, keyOfObject, notThere, readOne, type Change, type Kube, type KubeObject } from './kube/index.ts'
import { isManaged, isTaken, type Data } from './plan/index.ts'
import { isRefusal, SecretRefused } from './refusals.ts'
import { secrets, type Watched } from './watched.ts'

/** `isDoubtful`: written by us, and not in a list that came since: it may have gone before any watch told of it. */
type Known = { readonly version: string; readonly data: Data; readonly isDoubtful?: true }

const atOnce = 10

export class SecretStore {
  readonly #kube: Kube
  readonly #watched: () => Watched
  readonly #onTrouble: (error: Error) => void
  readonly #known = new Map<string, Known>()
  readonly #foreign = new Map<string, readonly string[]>() // keys that stayed when we wrote ours: another manager's

  constructor(kube: Kube, watched: () => Watched, onTrouble: (error: Error) => void) {
    this.#kube = kube
    this.#onTrouble = onTrouble
    this.#watched = watched
  }

  /** A Secret that is gone is forgotten: what we wrote is else believed, for the watch may not have told of it yet. */
  changed({ key, after }: Change): void {
    if (after !== undefined) return
    this.#known.delete(key)
    this.#foreign.delete(key)
  }

  /** To be called when a watch began anew with all there is. */
  listed(): void {
    for (const [key, known] of this.#known) if (this.#watched().get(secrets, key) === undefined) this.#known.set(key, { ...known, isDoubtful: true })
  }

  /** `refused`: those that may not be read and never were; they hold up nobody else's. */
  async read(keys: Iterable<string>): Promise<{ readonly found: Map<string, Data>; readonly refused: Map<string, SecretRefused> }> {
    const found = new Map<string, Data>()
    const refused = new Map<string, SecretRefused>()
    const waiting = [...keys]
    const readNext = async (key: string): Promise<void> => {
      try {
        const data = await this.one(key)
        if (data) found.set(key, data)
      } catch (error) {
        if (!(error instanceof SecretRefused)) throw error
        refused.set(key, error)
      }
    }
    const worker = async (): Promise<void> => {
      for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) await readNext(key)
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    return { found, refused }
  }

  /** Whether we made what is there by that name. */
  isOurs(key: string): boolean {
    const live = this.#watched().get(secrets, key)
    return live !== undefined && isManaged(live)
  }

  /** Rejects with SecretRefused where it may not be read and never was. */
  async one(key: string): Promise<Data | undefined> {
    const version = this.#watched().get(secrets, key)?.metadata.resourceVersion
    const known = this.#known.get(key)
    if (known !== undefined && (version === undefined ? known.isDoubtful !== true : version === known.version)) return known.data
    if (known === undefined && version === undefined) return undefined
    const [namespace, name] = key.split('/') as [string, string]
    const live = await readOne(this.#kube, secrets, { namespace, name }).catch((error: unknown) => {
      if (!isRefusal(error) || (error as KubeError).status === 504) throw error // no webhook is asked about a read: its server is slow
      this.#onTrouble(error as Error)
      if (known === undefined) throw new SecretRefused(key, error as Error)
      return 'refused' as const
    })
    if (live === 'refused') return known?.data // a right that was taken away in one namespace must not stop all others
    if (live === undefined) return void this.#known.delete(key)
    if (version !== undefined && this.#watched().get(secrets, key) === undefined) return undefined // it went while it was read
    return this.#keep(live)
  }

  /** Whether it was written: only where it says something else than what is there; never over what was put there since `kept` was read, as by a restore: that is a conflict, and tried again. */
  async keep(applier: Applier, object: KubeObject, kept: Data | undefined, data: Data): Promise<boolean> {
    const key = keyOfObject(object)
    const live = this.#watched().get(secrets, key)
    const foreign = this.#foreign.get(key) ?? []
    const isKept = kept !== undefined && isEqual(data, without(kept, foreign)) && (live === undefined || (!isTaken(live, object) && isAsMade(live, object)))
    if (isKept) return false
    const known = this.#known.get(key)
    const there = live ?? (known === undefined ? await readOne(this.#kube, secrets, object.metadata) : undefined)
    const isOther = known === undefined ? there !== undefined : !isEqual(known.data, kept) // known: another may have read it since
    if (isOther && !(there !== undefined && isTaken(there, object))) throw new KubeError({ status: 409, reason: 'Conflict', message: `Secret ${key} is there, and what is in it was not read yet` })
    const encoded = Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString('base64')]))
    const metadata = { ...object.metadata, resourceVersion: known?.version ?? notThere } // the server refuses where it has another
    const now = this.#keep(await applier.write({ resource: secrets, object: { ...object, metadata, data: encoded } }, there))
    this.#foreign.set(key, Object.keys(now).filter((name) => !(name in data)))
    return true
  }

  #keep(live: KubeObject): Data {
    const data = decodedOf(live)
    this.#known.set(keyOfObject(live), { version: live.metadata.resourceVersion!, data })
    return data
  }
}

/** What a Secret holds. */
export const decodedOf = ({ data }: KubeObject): Data => Object.fromEntries(Object.entries((data ?? {}) as Data).map(([name, encoded]) => [name, Buffer.from(encoded, 'base64').toString('utf8')]))

const without = (data: Data, names: readonly string[]): Data => Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)))

/** Has the labels and owners that it was given. */
const isAsMade = ({ metadata: live }: KubeObject, { metadata: wanted }: KubeObject): boolean =>
  Object.entries(wanted.labels ?? {}).every(([label, value]) => live.labels?.[label] === value) && (wanted.ownerReferences ?? []).every(({ uid }) => live.ownerReferences?.some((owner) => owner.uid === uid))
