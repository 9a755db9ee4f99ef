// Remembers what the server behind a hosted domain said about a user: ten minutes, and a yes for a day when it cannot be asked.
import { printMailbox, type HostedDomain, type Mailbox } from '../snapshot/index.ts'

/** Asks the domain's own server whether it would take mail for this mailbox; 'unknown' where it cannot say now. Must not throw. */
export type Callout = (domain: HostedDomain, mailbox: Mailbox) => Promise<'yes' | 'no' | 'unknown'>

type Kept = { readonly answer: 'yes' | 'no'; readonly at: number }
export type CalloutCache = { ask(domain: HostedDomain, mailbox: Mailbox): Promise<'yes' | 'no' | 'unknown'> }

const fresh = 10 * 60_000
const stale = 24 * 3_600_000
const most = 100_000

export const createCalloutCache = (callout: Callout, now: () => number): CalloutCache => {
  const kept = new Map<string, Kept>()
  const asking = new Map<string, Promise<'yes' | 'no' | 'unknown'>>()
  const remember = (key: string, answer: 'yes' | 'no'): void => {
    kept.delete(key)
    kept.set(key, { answer, at: now() })
    if (kept.size > most) kept.delete(kept.keys().next().value!)
  }
  const ask = async (key: string, domain: HostedDomain, mailbox: Mailbox): Promise<'yes' | 'no' | 'unknown'> => {
    const answer = await callout(domain, mailbox).catch(() => 'unknown' as const)
    if (answer !== 'unknown') remember(key, answer)
    const known = kept.get(key)
    // a user known within the day is kept mail for while the server behind is away
    return answer === 'unknown' && known?.answer === 'yes' && now() - known.at < stale ? 'yes' : answer
  }
  return {
    ask: (domain, mailbox) => {
      const key = `${domain.manifest} ${printMailbox(mailbox)}`
      const known = kept.get(key)
      if (known && now() - known.at < fresh) return Promise.resolve(known.answer)
      const running = asking.get(key) ?? ask(key, domain, mailbox).finally(() => asking.delete(key))
      asking.set(key, running)
      return running
    },
  }
}
