// Remembers what the server behind a hosted domain said about a user: ten minutes, and a yes for a day when it cannot be asked.
import { printMailbox, type HostedDomain, type Mailbox } from '../snapshot/index.ts'

/** Asks the domain's own server whether it would take mail for this mailbox; 'unknown' where it cannot say now. Must not throw. */
export type Callout = (domain: HostedDomain, mailbox: Mailbox) => Promise<'yes' | 'no' | 'unknown'>

/** Whom a callout asks: what one server says, another may not. */
export type Asked = (domain: HostedDomain) => string

type Kept = { readonly answer: 'yes' | 'no'; readonly at: number; readonly by: string }
export type CalloutCache = { ask(domain: HostedDomain, mailbox: Mailbox): Promise<'yes' | 'no' | 'unknown'> }

const fresh = 10 * 60_000
const stale = 24 * 3_600_000
const most = 50_000 // of either answer

export const createCalloutCache = (callout: Callout, now: () => number, asked: Asked = ({ inbound }) => JSON.stringify(inbound?.hosts ?? [])): CalloutCache => {
  // apart: addresses that somebody guesses must not push out the users there are
  const kept: Readonly<Record<Kept['answer'], Answers>> = { yes: new Answers(), no: new Answers() }
  const find = (namespace: string, key: string): Kept | undefined => kept.yes.get(namespace, key) ?? kept.no.get(namespace, key)
  const remember = (namespace: string, key: string, { answer, by }: Pick<Kept, 'answer' | 'by'>): void => {
    kept[answer === 'yes' ? 'no' : 'yes'].delete(namespace, key)
    kept[answer].set(namespace, key, { answer, at: now(), by })
  }
  const asking = new Map<string, Promise<'yes' | 'no' | 'unknown'>>()
  const ask = async (key: string, by: string, domain: HostedDomain, mailbox: Mailbox): Promise<'yes' | 'no' | 'unknown'> => {
    const answer = await callout(domain, mailbox).catch(() => 'unknown' as const)
    if (answer !== 'unknown') remember(domain.namespace, key, { answer, by })
    const known = find(domain.namespace, key)
    // a user known within the day is kept mail for while the server behind is away
    return answer === 'unknown' && known?.answer === 'yes' && now() - known.at < stale ? 'yes' : answer
  }
  return {
    ask: (domain, mailbox) => {
      const key = `${domain.manifest} ${printMailbox(mailbox)}`
      const by = asked(domain)
      const known = find(domain.namespace, key)
      if (known && known.by === by && now() - known.at < fresh) return Promise.resolve(known.answer)
      const question = `${key} ${by}`
      const running = asking.get(question) ?? ask(key, by, domain, mailbox).finally(() => asking.delete(question))
      asking.set(question, running)
      return running
    },
  }
}

/** By namespace of the MailDomain. Of too many the oldest of the namespace that has most goes: who asks for users of one at random makes those of no other forgotten. */
class Answers {
  readonly #byNamespace = new Map<string, Map<string, Kept>>()
  #size = 0

  get(namespace: string, key: string): Kept | undefined {
    return this.#byNamespace.get(namespace)?.get(key)
  }

  set(namespace: string, key: string, answer: Kept): void {
    const answers = this.#byNamespace.get(namespace) ?? new Map<string, Kept>()
    this.#byNamespace.set(namespace, answers)
    this.delete(namespace, key)
    answers.set(key, answer)
    this.#size++
    if (this.#size > most) this.#forgetOne()
  }

  delete(namespace: string, key: string): void {
    if (this.#byNamespace.get(namespace)?.delete(key)) this.#size--
  }

  #forgetOne(): void {
    const largest = [...this.#byNamespace.values()].reduce((one, other) => (other.size > one.size ? other : one))
    largest.delete(largest.keys().next().value!)
    this.#size--
  }
}
