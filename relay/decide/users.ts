// Whether a hosted domain knows this user, as far as its manifest can say. Pure.
import { printMailbox, type HostedDomain, type Mailbox, type Snapshot } from '../snapshot/index.ts'
import { indexOf } from './policy-index.ts'

export const hostedDomain = (snapshot: Snapshot, domain: string): HostedDomain | undefined => indexOf(snapshot).domains.get(domain)

/** The mailbox that is asked for: user+detail@ is user@ where the domain says so (RFC 5233). */
export const baseMailbox = ({ inbound }: HostedDomain, { local, domain }: Mailbox): Mailbox => {
  const plus = inbound?.recipients.subaddressing === true ? local.indexOf('+') : -1
  return { local: plus > 0 ? local.slice(0, plus) : local, domain }
}

/** `ask`: only the server behind can say (Callout). Postmaster is always known (RFC 5321 4.5.1). */
export const decideUser = (hosted: HostedDomain, mailbox: Mailbox): 'yes' | 'no' | 'ask' => {
  if (!hosted.inbound || hosted.inbound.recipients.mode === 'Any') return 'yes'
  if (mailbox.local.toLowerCase() === 'postmaster') return 'yes'
  if (hosted.inbound.recipients.mode === 'Callout') return 'ask'
  const known = listOf(hosted)
  const base = baseMailbox(hosted, mailbox)
  return [mailbox, base].some((one) => known.has(one.local) || known.has(printMailbox(one))) ? 'yes' : 'no'
}

const lists = new WeakMap<HostedDomain, ReadonlySet<string>>()

const listOf = (hosted: HostedDomain): ReadonlySet<string> => {
  const made = lists.get(hosted) ?? new Set(hosted.inbound?.recipients.list)
  lists.set(hosted, made)
  return made
}
