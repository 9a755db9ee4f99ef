// What the plan has to say about objects: violations found by checks, conditions made of them, and the table of reasons.
import type { ObjectRef } from './input.ts'

export const reasons = {
  Accepted: 'the object is in force',
  SelfSigned: 'the listener is in force; its certificate is signed by a CA of our own',
  AddressPreserved: 'clients come to the listener with their own address',
  AddressRewritten: 'clients come to the listener with the address of a node, and no rule may trust one there',
  NodeAddressSeen: 'clients came to the listener with the address of a node or gateway, and no rule may trust one there',
  NotImplemented: 'a field is used that this release does not do yet',
  Unreadable: 'the object does not fit its kind as this release knows it: a field of another release, or a rule that came later',
  InvalidName: 'a text is no domain name',
  RelayNotFound: 'the MailRelay it names does not exist',
  RelayNotAccepted: 'the MailRelay it names is not in force itself',
  NotAdmitted: 'the other side does not admit its namespace or domain',
  DomainConflict: 'another MailDomain holds the domain',
  HostNotAllowed: 'a host lies where its namespace may not deliver',
  FromNotAllowed: 'an address is none that the sender may use',
  NoListener: 'none of its listeners can be opened',
  PortConflict: 'two listeners would open the same port',
  RetryScheduleNotFound: 'the RetrySchedule it names does not exist',
  CertificateNotFound: 'the Secret with the certificate does not exist',
  CertificateInvalid: 'certificate and key cannot be used',
  KeyNotFound: 'the Secret with the DKIM keys does not exist or lacks one',
  KeyInvalid: 'a DKIM key cannot be used',
  CredentialsReady: 'the sender can identify itself',
  CredentialsPending: 'the credentials of the sender are not made yet',
  KeysUnknown: 'the keys that tokens of ServiceAccounts are checked with are not known',
  AccountNotFound: 'the ServiceAccount of the sender does not exist',
  AccountConflict: 'another MailSender of the relay has the same ServiceAccount',
  MechanismMissing: 'no listener that admits the sender takes its kind of credential',
  CredentialsNotFound: 'the Secret with the credentials does not exist or lacks one',
  TargetNotFound: 'the target of the policy does not exist',
  TargetNotAccepted: 'the target of the policy is not in force itself',
  SenderNotFound: 'a MailSender that a match names does not exist',
  SourcesTooWide: 'an Allow rule, or the peers of the PROXY protocol, name a range wider than may be trusted',
  SourcesMakeTheWorld: 'the Allow rules of the relay together trust too much of the Internet',
  SnapshotTooBig: 'the snapshot of the MailRelay would be too big with it',
  LimitNotCounted: 'a limit would be counted at no target of the policy',
  AllowNotPermitted: 'only a policy in the namespace of the MailRelay may let addresses relay',
} as const
export type Reason = keyof typeof reasons

/** Why an object may not be part of a snapshot. `path` points into it; `by` is who stands on the other side and is told too. */
export type Violation = { readonly reason: Reason; readonly message: string; readonly path?: readonly PropertyKey[]; readonly by?: ObjectRef }

/** A check is named for the fault and tells what it found. */
export type Check<Seen> = (seen: Seen) => Violation | undefined

export const violationsOf = <Seen>(checks: readonly Check<Seen>[], seen: Seen): Violation[] => checks.flatMap((check) => check(seen) ?? [])

/** One statement about one object; `relay` and `section` (a listener or target) say about which part. */
export type Condition = {
  readonly object: ObjectRef
  readonly relay?: string
  readonly section?: string
  readonly type: 'Accepted' | 'ResolvedRefs' | 'SourceAddressPreserved' | 'CredentialsReady' | 'Contested'
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: Reason
  readonly message: string
  readonly path?: readonly PropertyKey[]
  readonly by?: ObjectRef
}
