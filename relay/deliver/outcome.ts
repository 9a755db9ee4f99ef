// How one recipient's attempt ended: data; only relay/deliver/after-attempt.ts turns it into a settlement, only relay/queue/settle.ts acts on that.
// Permanence is the kind, not a flag: a time-out has no way to become `refused` or `unroutable`.
import type { namedClasses } from '../snapshot/index.ts'

/** A reply with who said it to what: code, enhanced status, the command and the exact lines. */
export type RemoteReply = {
  readonly host: string
  readonly address: string
  readonly command: 'GREETING' | 'EHLO' | 'HELO' | 'STARTTLS' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'DOT' | 'RSET' | 'QUIT'
  readonly code: number
  readonly enhanced?: string // "4.2.2"
  readonly lines: readonly string[]
}

/** The schedule override a temporary failure may ask for (api.md, RetrySchedule). */
export type DeferClass = (typeof namedClasses)[number] | 'Other'
export type DeferReason = { readonly class: DeferClass; readonly status: string; readonly text: string; readonly host?: string }

export type Outcome =
  | { readonly kind: 'delivered'; readonly said: RemoteReply; readonly dsnPassedOn: boolean }
  | { readonly kind: 'deferred'; readonly why: DeferReason; readonly said?: RemoteReply } // no reply: socket, DNS or TLS
  | { readonly kind: 'refused'; readonly status: string; readonly text: string; readonly said: RemoteReply }
  | { readonly kind: 'unroutable'; readonly why: 'no-such-domain' | 'null-mx' | 'loop' | 'not-convertible' | 'too-big'; readonly status: string; readonly text: string }
  | { readonly kind: 'expired'; readonly last: DeferReason; readonly said?: RemoteReply }
  | { readonly kind: 'held'; readonly text: string }
