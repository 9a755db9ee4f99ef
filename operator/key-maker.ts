// DKIM keys for a run of the operator. An RSA key takes 50 ms of processor, and there may be a thousand to make: a run waits for a few,
// goes on without the others, and is called again when these are there. So a minute of keys holds up nobody else's change.
import { newDkimKey, type DkimOptions } from './make/index.ts'

type NewKey = NonNullable<DkimOptions['newKey']>

export type KeyMakerOptions = {
  /** Some of the keys that a run went on without are there now. */
  readonly ready: () => void
  readonly make?: (algorithm: Parameters<NewKey>[0]) => Promise<string>
}

const waitedFor = 16 // by one run: about a second
const toldAfter = 250 // about as many as are made while a run writes as many

export class KeyMaker {
  readonly #options: KeyMakerOptions
  readonly #make: NonNullable<KeyMakerOptions['make']>
  readonly #spare: string[] = []
  /** RSA keys that the last run went on without. */
  #missing = 0
  #missedNow = 0
  #isMaking = false
  #stopped = false

  constructor(options: KeyMakerOptions) {
    this.#options = options
    this.#make = options.make ?? newDkimKey
  }

  forRun(): NewKey {
    this.#missedNow = 0
    let patience = waitedFor
    return async (algorithm) => {
      if (algorithm === 'ed25519') return this.#make(algorithm) // takes no time
      const spare = this.#spare.pop()
      if (spare !== undefined) return spare
      if (patience-- > 0) return this.#make(algorithm)
      this.#missedNow += 1
      return undefined
    }
  }

  /** The run is over: what it wrote was more urgent. */
  endRun(): void {
    this.#missing = this.#missedNow
    if (!this.#isMaking) void this.#makeMissing()
  }

  /** One at a time: whoever writes them needs a processor too. */
  async #makeMissing(): Promise<void> {
    this.#isMaking = true
    try {
      for (let made = 1; this.#spare.length < this.#missing && !this.#stopped; made++) {
        this.#spare.push(await this.#make('rsa'))
        if (made % toldAfter === 0 || this.#spare.length === this.#missing) this.#options.ready()
      }
    } finally {
      this.#isMaking = false
    }
  }

  stop(): void {
    this.#stopped = true
  }
}
