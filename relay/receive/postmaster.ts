// Whose postmaster is meant where no domain is said (RFC 5321 4.5.1). Pure.
import { splitMailbox, type Mailbox, type Snapshot } from '../snapshot/index.ts'

/** The one the relay names, or that of the first domain hosted at the listener, a tenant's only where there is no other. Judged like any other mailbox. */
export const postmasterAt = ({ relay, domains }: Snapshot, listener: string): Mailbox => {
  const here = domains.filter(({ inbound, listeners }) => inbound !== undefined && listeners.includes(listener))
  const ours = here.filter(({ namespace }) => namespace === relay.namespace)
  const hosted = (ours.length > 0 ? ours : here).map(({ domain }) => domain)
  const named = relay.postmaster === undefined ? undefined : splitMailbox(relay.postmaster)
  if (named !== undefined && here.some(({ domain }) => domain === named.domain)) return named
  return { local: 'postmaster', domain: hosted.find((domain) => domain === relay.hostname) ?? hosted[0] ?? relay.hostname }
}
