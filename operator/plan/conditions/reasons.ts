// The reasons of conditions that tell what was observed; those of the plan are in condition.ts.
export const observedReasons = {
  NotObserved: 'nothing was seen yet that would tell',
  NotInForce: 'the object is in force nowhere, so there is nothing to observe',
  RecordsPublished: 'DNS has every record that the domain needs',
  RecordsMissing: 'DNS lacks a record that the domain needs; the message has the lines for the zone',
  RecordsDiffer: 'a record in DNS does not do what the domain needs',
  RecordsUnknown: 'DNS did not answer, or has not been asked yet',
  Reachable: 'mail by the route reaches a host',
  NoHostReached: 'no host of the route was reached in three attempts or more',
  Enforced: 'the policy is in effect at the target',
  PartlyOverridden: 'the policy is in effect, but for parts that another decides',
  Overridden: 'no part of the policy can take effect at the target; the message says who decides instead',
  WarnOnly: 'the policy only warns',
  Pending: 'pods are missing, or do not run the newest snapshot yet',
  DkimKeyMade: 'an Event: a DKIM key was made, and its record is to be published',
  DkimKeySigns: 'an Event: the record of a new DKIM key was seen, and the key signs from now on',
  DkimKeyForgotten: 'an Event: a DKIM key is gone, and its record may be removed',
  QueueNotEmpty: 'a MailRelay that is being deleted waits for the mail in its queue',
  QueueUnknown: 'a MailRelay is being deleted, and nobody can say what its queue holds',
  QueueClosing: 'a MailRelay is being deleted, and its pods are taking no more mail',
  QueueDiscarded: 'a MailRelay is being deleted, and the mail in its queue is given up as asked for',
} as const
export type ObservedReason = keyof typeof observedReasons
