// One sentence a person understands, for every way a delivery may end. The remote's own words stand beside it, never instead of it.
import type { DeferReason, Outcome, RemoteReply } from './outcome.ts'
import { classify, type Topic } from './classify.ts'

const sentences: Readonly<Record<Topic, string>> = {
  'no-such-user': 'There is no such address there.',
  'mailbox-full': 'The mailbox is full.',
  'not-accepting': 'The mailbox takes no mail at the moment.',
  'too-big': 'The message is larger than the other side accepts.',
  'content-refused': 'The other side refused the content of the message.',
  policy: 'The other side refused the message by its own rules.',
  greylisted: 'The other side asked us to come again later, as it does with senders it does not know yet.',
  'rate-limited': 'The other side takes only so much mail at a time and asked us to slow down.',
  'host-down': 'The other side is not taking mail at the moment.',
  'host-trouble': 'The other side has trouble of its own.',
  tls: 'No sufficiently protected connection to the other side could be made.',
  auth: 'The next server did not accept our user name and password.',
  unknown: 'The other side did not take the message.',
}

export const plainReply = (said: RemoteReply): string => sentences[classify(said).topic]

export const plainDeferral = (why: DeferReason, said?: RemoteReply): string => {
  if (said !== undefined && said.command !== 'GREETING' && said.command !== 'EHLO' && said.command !== 'HELO') return plainReply(said)
  if (why.class === 'DNS') return 'The name servers of that domain do not answer properly, so we do not know where to send the message.'
  if (why.class === 'TLS') return sentences.tls
  if (why.class !== 'Connect') return 'The message could not be handed over yet.'
  if (said !== undefined) return sentences['host-down']
  return why.status === '4.4.1' ? 'The mail server over there cannot be reached.' : 'The mail server over there did not answer to the end.'
}

export const plainUnroutable: Readonly<Record<Extract<Outcome, { kind: 'unroutable' }>['why'], string>> = {
  'no-such-domain': 'The domain (the part after the @) does not exist or takes no mail. Is it spelt right?',
  'null-mx': 'That domain takes no mail at all.',
  loop: 'The mail servers of that domain lead back to ours: its DNS records and our settings do not agree.',
  'not-convertible': 'The other side cannot take messages or addresses with these characters.',
  'too-big': 'The message is larger than the other side accepts.',
}
