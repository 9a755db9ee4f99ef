// What a relay checks ServiceAccount tokens with: there only where a MailSender needs it. Pure.
import type { MailRelay } from '../../../crds/index.ts'
import type { Tokens } from '../../../relay/snapshot/index.ts'
import { keyOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import type { World } from '../world.ts'

/** Names one relay of one cluster: a token for it is of no use elsewhere. */
export const audienceOf = (relay: MailRelay): string => `posthouse.dev/${keyOf(relay)}`

export const tokensOf = ({ relay, senders }: RelayView, { input: { tokenIssuer } }: World): Tokens | undefined => {
  const isWanted = senders.some(({ sender }) => sender.spec.identity.serviceAccountName !== undefined)
  if (!isWanted || tokenIssuer === undefined || tokenIssuer.kind === 'unknown') return undefined
  return { issuer: tokenIssuer.issuer, audience: audienceOf(relay), keys: tokenIssuer.keys.map((key) => ({ ...key })) }
}
