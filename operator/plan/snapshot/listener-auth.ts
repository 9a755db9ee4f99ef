// What AUTH a listener has when its manifest does not say, and which credentials it takes by that. Pure.
import type { ListenerSpec, MailSender } from '../../../crds/index.ts'
import { authMechanisms, type AuthMechanism } from '../../../relay/snapshot/index.ts'

export const authOf = ({ protocol, auth }: ListenerSpec): readonly AuthMechanism[] => auth ?? (protocol === 'SMTP' ? [] : authMechanisms)

/** What takes tokens and nothing else is shown only where there are keys to check them with: a client takes what it is shown first. */
export const offeredAuth = (listener: ListenerSpec, takesTokens: boolean): AuthMechanism[] => authOf(listener).filter((mechanism) => takesTokens || takesPasswords(mechanism))

const takesPasswords = (mechanism: AuthMechanism): boolean => mechanism === 'PLAIN' || mechanism === 'LOGIN'

/** A token goes by every mechanism, a password by some. */
export const takesCredentialOf = ({ spec: { identity } }: MailSender, listener: ListenerSpec): boolean => authOf(listener).some((mechanism) => identity.serviceAccountName !== undefined || takesPasswords(mechanism))
