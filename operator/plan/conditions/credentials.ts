// Whether the MailSenders of a relay can identify themselves: their password is made, or the keys for their tokens are known. Pure.
import type { MailSender } from '../../../crds/index.ts'
import type { Condition } from '../condition.ts'
import { keyOf, refOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import { credentialSecretOf } from '../names.ts'
import { audienceOf } from '../snapshot/tokens.ts'
import type { World } from '../world.ts'

type Found = Pick<Condition, 'status' | 'reason' | 'message'>

export const credentialsOf = ({ relay, senders }: RelayView, world: World): Condition[] =>
  senders.map(({ sender }) => {
    const account = sender.spec.identity.serviceAccountName
    const found = account === undefined ? byPassword(sender, world) : byToken(`ServiceAccount ${sender.metadata.namespace}/${account}`, audienceOf(relay), world)
    return { object: refOf(sender), type: 'CredentialsReady', ...found }
  })

const byPassword = (sender: MailSender, { input: { made } }: World): Found => {
  const secret = `Secret ${credentialSecretOf(keyOf(sender))}`
  const credential = made.credentials[keyOf(sender)]
  if (credential === undefined) return { status: 'Unknown', reason: 'CredentialsPending', message: `${secret} is not made yet` }
  const { previous } = credential
  return { status: 'True', reason: 'CredentialsReady', message: previous === undefined ? `user name and password are in ${secret}` : `user name and password are in ${secret}; the password before is right until ${previous.until}` }
}

const byToken = (account: string, audience: string, { input: { tokenIssuer } }: World): Found => {
  if (tokenIssuer === undefined) return { status: 'Unknown', reason: 'KeysUnknown', message: `tokens of ${account} are checked with the keys of a cluster, and here is none` }
  if (tokenIssuer.kind === 'unknown') return { status: 'False', reason: 'KeysUnknown', message: `tokens of ${account} cannot be checked: ${tokenIssuer.why}` }
  return { status: 'True', reason: 'CredentialsReady', message: `tokens of ${account} for audience ${audience} are taken` }
}
