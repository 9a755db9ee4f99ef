// What the decision about one recipient (or one sender) looks like: a reply for the client, and the rule and manifest that made it so.

/** One SMTP reply; `text` without code. Every one carries an enhanced status code (RFC 3463). */
export type Reply = { readonly code: number; readonly enhanced: string; readonly text: string }

/** The rule that decided, e.g. {rule: 'no-spoofing', manifest: 'RelayPolicy mail/house-rules'}. */
export type Because = { readonly rule: string; readonly manifest: string }

export type Verdict =
  | { readonly kind: 'pass'; readonly because: Because; readonly warnings: readonly Because[] }
  | { readonly kind: 'hold'; readonly because: Because; readonly reason: string; readonly warnings: readonly Because[] }
  | { readonly kind: 'deny'; readonly because: Because; readonly reply: Reply; readonly warnings: readonly Because[] }

/** Everything a decision may look at; the address is the one that counts (behind PROXY: the client's). */
export type Client = {
  readonly address: string
  readonly helo: string
  readonly tls: boolean
  readonly sender?: string // namespace/name of the identified MailSender
}
