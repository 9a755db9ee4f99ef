// Who signs tokens of ServiceAccounts, as the API server says it (OpenID Connect Discovery 1.0): read when wanted, again a minute later, and kept when it is away.
import { z } from 'zod'
import type { Kube } from './kube/index.ts'
import type { TokenIssuer } from './plan/index.ts'

const everyMs = 60_000
const afterFailureMs = 10_000

const configuration = z.looseObject({ issuer: z.string().min(1) })
/** Only what a public key is made of: whatever else an API server may show stays out of snapshots. */
const key = z.object({ kty: z.enum(['RSA', 'EC']), kid: z.string().optional(), alg: z.string().optional(), n: z.string().optional(), e: z.string().optional(), crv: z.string().optional(), x: z.string().optional(), y: z.string().optional() })
const keySet = z.looseObject({ keys: z.array(z.unknown()) })

export class TokenIssuerReader {
  readonly #kube: Kube
  readonly #onTrouble: (error: Error) => void
  readonly #now: () => number
  #known: TokenIssuer | undefined
  #nextAt = 0

  constructor(kube: Kube, onTrouble: (error: Error) => void, now: () => number = () => performance.now()) {
    this.#kube = kube
    this.#onTrouble = onTrouble
    this.#now = now
  }

  async read(): Promise<TokenIssuer> {
    if (this.#known !== undefined && this.#now() < this.#nextAt) return this.#known
    try {
      this.#known = await this.#ask()
      this.#nextAt = this.#now() + everyMs
    } catch (error) {
      this.#onTrouble(error as Error)
      this.#nextAt = this.#now() + afterFailureMs
      if (this.#known?.kind !== 'known') this.#known = { kind: 'unknown', why: (error as Error).message }
    }
    return this.#known
  }

  async #ask(): Promise<TokenIssuer> {
    const { issuer } = configuration.parse(await this.#get('/.well-known/openid-configuration', 'application/json'))
    const { keys } = keySet.parse(await this.#get('/openid/v1/jwks', 'application/jwk-set+json, application/json'))
    const usable = keys.flatMap((one) => key.safeParse(one).data ?? [])
    if (usable.length === 0) throw new Error('GET /openid/v1/jwks: it lists no RSA or EC key')
    // in one order, whichever API server answers: the same keys are the same snapshot
    return { kind: 'known', issuer, keys: usable.map((one) => present(one)).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) }
  }

  #get(path: string, accept: string): Promise<unknown> {
    return this.#kube.call({ path, accept, timeoutMs: 5000, tries: 2 })
  }
}

const present = (one: Readonly<Record<string, string | undefined>>): Record<string, string> => Object.fromEntries(Object.entries(one).filter((entry): entry is [string, string] => entry[1] !== undefined))
