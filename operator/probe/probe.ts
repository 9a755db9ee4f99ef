// The whole of one probe of one MailRelay: a stranger at every listener, by every way, to the end of DATA; then the pods are asked whether they took anything.
import { randomBytes } from 'node:crypto'
import { attemptAll, type Result } from './attempt.ts'
import { strangerForms } from './forms.ts'
import { openSession, ProbeError } from './session.ts'
import type { Way } from './ways.ts'

export type Relayed = { readonly listener: string; readonly way: Way['name']; readonly form: string; readonly from: string }
export type Probe = {
  /** The addresses we asked from, in order. */
  readonly from: readonly string[]
  /** One for each listener that let the stranger through. */
  readonly relayed: readonly Relayed[]
  /** Why a way that must answer did not; the same words for the same fault. */
  readonly failed?: string
}

export type ProbeOptions = {
  readonly ways: readonly Way[]
  /** A domain of the relay's own, for the addresses that would confuse it. */
  readonly own: string
  /** Domains under .invalid that the pods took mail for, as they say now. */
  readonly taken: () => Promise<ReadonlySet<string>>
  readonly ms?: number
  readonly signal: AbortSignal
}

export const probe = async ({ ways, own, taken, ms = 10_000, signal }: ProbeOptions): Promise<Probe> => {
  const seen: Seen[] = []
  for (const way of ways) seen.push(await tryWay(way, own, ms, signal))
  const kept = await taken()
  const relayed = seen.flatMap(({ way, from, form, domain }) => (form !== undefined || kept.has(domain) ? [{ listener: way.listener, way: way.name, form: form ?? 'refused in words, and taken all the same', from: from ?? '' }] : []))
  const failed = ways.length === 0 ? 'there is no way to it' : seen.flatMap(({ fault }) => fault ?? [])[0]
  return {
    from: [...new Set(seen.flatMap(({ from }) => from ?? []))].sort(),
    relayed: relayed.filter((one, index) => relayed.findIndex(({ listener }) => listener === one.listener) === index),
    ...(failed !== undefined && { failed }),
  }
}

type Seen = { readonly way: Way; readonly domain: string; readonly from?: string; readonly form?: string; readonly fault?: string }

const tryWay = async (way: Way, own: string, ms: number, signal: AbortSignal): Promise<Seen> => {
  const domain = `p${randomBytes(6).toString('hex')}.posthouse-probe.invalid` // of this session only: whoever has mail for it has ours
  const where = `listener ${way.listener} ${way.name}`
  try {
    const session = await openSession(way.door, ms, signal)
    const tried = await attemptAll(session.ask, strangerForms(domain, own), domain)
    session.close()
    const through = tried.find(({ result }) => result === 'relayed')
    const fault = through || !way.mustAnswer ? undefined : faultIn(tried.map(({ result }) => result))
    return { way, domain, from: session.from, ...(through && { form: through.form.name }), ...(fault !== undefined && { fault: `${where}: ${fault}` }) }
  } catch (error) {
    if (!(error instanceof ProbeError)) throw error
    return { way, domain, ...(way.mustAnswer && { fault: `${where}: ${error.message}` }) }
  }
}

/** Put off some of the time is a limit that was hit; all of the time, or cut off, proves nothing. */
const faultIn = (results: readonly Result[]): string | undefined => {
  if (results.at(-1) === 'lost') return 'the connection was lost'
  return results.includes('refused') ? undefined : 'everything was put off with 4xx'
}
