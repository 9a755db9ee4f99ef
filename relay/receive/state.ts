// What a session knows: its listener, its client, the message begun. Data; the commands change it, the session acts on their answers.
import type { Because, Reply, Verdict } from '../decide/index.ts'
import type { Queue, Recipient } from '../queue/index.ts'
import type { Log, Metrics } from '../report/index.ts'
import type { HostedDomain, Listener, Mailbox, Schedule, Sender, Snapshot } from '../snapshot/index.ts'
import type { CalloutCache } from './callout-cache.ts'
import type { FleetLimits } from './fleet-limits.ts'
import type { MailParameters } from './parameters.ts'
import type { Witness } from './witness.ts'

export type BodySink = ReturnType<Queue['newBody']>

/** What all sessions of a process share. */
export type World = {
  readonly snapshot: () => Snapshot
  readonly queue: Queue
  readonly log: Log
  readonly metrics: Metrics
  readonly pod: string
  readonly callouts: CalloutCache
  readonly limits: FleetLimits
  readonly witness: Witness
}

/** How mail for a domain leaves, as far as accepting it must know: its schedule, and whether its route is on hold. */
export type Leaving = (snapshot: Snapshot, mail: { readonly domain: string; readonly mailFrom: Mailbox | null; readonly sender?: string }) => { readonly schedule: Schedule; readonly hold?: string }

/** What a listener's server is opened with. */
export type Door = { readonly world: World; readonly leaving: Leaving; readonly sources: Map<string, number> }

/** A recipient that passed, and why. */
export type Passed = { readonly recipient: Recipient; readonly verdict: Verdict; readonly hosted: HostedDomain | undefined }

export type Transaction = {
  readonly mailFrom: Mailbox | null
  readonly parameters: MailParameters
  readonly passed: Map<string, Passed> // by printed mailbox: named twice is one recipient
  readonly counted: Set<string> // policies that came in by a recipient's domain and have counted the message
  refused: number
  lastRefusal: Reply | undefined
}

/** What of a credential is kept, to see whether it still holds: which salted hash the password was of, or whose the token was. */
export type Proof = { readonly salt: string; readonly hash: string } | { readonly account: string }

export type State = {
  readonly world: World
  readonly id: string
  readonly address: string
  readonly source: string // what limits by source count (source.ts)
  listener: Listener
  tls: { readonly protocol: string; readonly cipher: string } | undefined
  hello: { readonly esmtp: boolean; readonly name: string } | undefined
  sender: Sender | undefined
  proof: Proof | undefined // of the sender
  transaction: Transaction | undefined
  errors: number // refused for the client's fault
  idle: number // commands that brought no message nearer
  spared: number // recipients refused beside as many that passed, which are none of either
  messages: number
}

/** What a command answers, and what the session does beside saying it. */
export type Answer =
  | { readonly kind: 'say'; readonly reply: Reply; readonly lines?: readonly string[]; readonly because?: Because }
  | { readonly kind: 'close'; readonly reply: Reply }
  | { readonly kind: 'start-tls'; readonly reply: Reply }
  | { readonly kind: 'start-data'; readonly reply: Reply }
  | { readonly kind: 'ask'; readonly reply: Reply; readonly next: (line: string) => Answer | Promise<Answer> } // the next line is the client's answer
export type Command = (state: State, argument: string) => Answer | Promise<Answer>

export const say = (reply: Reply, because?: Because): Answer => ({ kind: 'say', reply, ...(because && { because }) })

/** The client as decisions see it. */
export const clientOf = ({ address, hello, tls, sender }: State): { address: string; helo: string; tls: boolean; sender?: string } => ({
  address, helo: hello?.name ?? '', tls: tls !== undefined, ...(sender && { sender: `${sender.namespace}/${sender.name}` }),
})
