// Every reply the receiving side gives, in one table; docs/replies.md lists them all and a test holds the two together.
// {words in braces} are filled in. 2xx of the greeting and of HELO and EHLO carry no enhanced code (RFC 2034 4).
import type { Reply } from './verdict.ts'

export const replies = {
  'greeting': { code: 220, enhanced: '', text: '{hostname} ESMTP Posthouse' },
  'hello': { code: 250, enhanced: '', text: '{hostname}' },
  'help': { code: 214, enhanced: '2.0.0', text: 'Commands: {verbs}; see RFC 5321' },
  'ok': { code: 250, enhanced: '2.0.0', text: 'OK' },
  'bye': { code: 221, enhanced: '2.0.0', text: '{hostname} closes the connection' },
  'not-verified': { code: 252, enhanced: '2.0.0', text: 'Cannot say; send mail and see' },
  'no-expand': { code: 502, enhanced: '5.5.1', text: 'Lists are not shown' },
  'sender-ok': { code: 250, enhanced: '2.1.0', text: 'Sender OK' },
  'recipient-ok': { code: 250, enhanced: '2.1.5', text: 'Recipient OK' },
  'send-data': { code: 354, enhanced: '', text: 'Send the message, end with a line of one dot' },
  'queued': { code: 250, enhanced: '2.0.0', text: 'queued as {id}' },
  'start-tls': { code: 220, enhanced: '2.0.0', text: 'Ready to start TLS' },
  'auth-continue': { code: 334, enhanced: '', text: '{challenge}' },
  'auth-ok': { code: 235, enhanced: '2.7.0', text: 'Authenticated as {manifest}' },

  'closing': { code: 421, enhanced: '4.3.2', text: '{hostname} is shutting down; try again at once, others serve' },
  'too-slow': { code: 421, enhanced: '4.4.2', text: 'Waited {seconds} s for {what}; closing' },
  'too-many-connections': { code: 421, enhanced: '4.7.0', text: 'Too many connections at once (limit {limit} of listener {listener}); try again later' },
  'too-many-from-you': { code: 421, enhanced: '4.7.0', text: 'Too many connections from {address} (limit {limit} of listener {listener}); try again later' },
  'connecting-too-fast': { code: 421, enhanced: '4.7.1', text: 'Connecting too often ({manifest}); try again later' },
  'too-many-errors': { code: 421, enhanced: '4.7.0', text: 'Too many errors on this connection' },
  'too-many-commands': { code: 421, enhanced: '4.7.0', text: 'Too many commands without a message on this connection' },
  'too-many-messages': { code: 421, enhanced: '4.7.0', text: 'Limit of {limit} messages per connection; open a new one' },
  'login-over': { code: 421, enhanced: '4.7.0', text: 'What identified {manifest} on this connection no longer holds; authenticate anew on another' },
  'early-talker': { code: 554, enhanced: '5.5.1', text: 'You spoke before the greeting' },

  'unknown-command': { code: 500, enhanced: '5.5.2', text: 'Command not recognised; HELP lists them' },
  'line-too-long': { code: 500, enhanced: '5.5.2', text: 'Command line longer than {limit} octets' },
  'bad-octets': { code: 501, enhanced: '5.5.2', text: 'A command holds a control character' },
  'http': { code: 421, enhanced: '4.7.0', text: 'This is a mail server, not a web server' },
  'bad-arguments': { code: 501, enhanced: '5.5.4', text: 'Syntax: {syntax}' },
  'hello-first': { code: 503, enhanced: '5.5.1', text: 'Say HELO or EHLO first' },
  'mail-first': { code: 503, enhanced: '5.5.1', text: 'Say MAIL FROM first' },
  'recipient-first': { code: 503, enhanced: '5.5.1', text: 'Say RCPT TO first' },
  'no-recipients': { code: 554, enhanced: '5.5.1', text: 'No recipient was accepted; the last was refused with {said}' },
  'nested-mail': { code: 503, enhanced: '5.5.1', text: 'A message is already begun; RSET starts over' },
  'tls-not-here': { code: 502, enhanced: '5.5.1', text: 'STARTTLS is not offered on this listener' },
  'tls-already': { code: 503, enhanced: '5.5.1', text: 'TLS is already on' },

  'auth-not-here': { code: 502, enhanced: '5.5.1', text: 'AUTH is not offered on this listener' },
  'auth-needs-tls': { code: 538, enhanced: '5.7.11', text: 'AUTH only after STARTTLS' },
  'auth-already': { code: 503, enhanced: '5.5.1', text: 'Already authenticated' },
  'auth-in-transaction': { code: 503, enhanced: '5.5.1', text: 'AUTH is not allowed while a message is begun' },
  'auth-mechanism': { code: 504, enhanced: '5.5.4', text: 'Mechanism not offered; offered are {offered}' },
  'auth-base64': { code: 501, enhanced: '5.5.2', text: 'That is not what this mechanism sends in base64' },
  'auth-line-too-long': { code: 500, enhanced: '5.5.6', text: 'Authentication line longer than {limit} octets' },
  'auth-cancelled': { code: 501, enhanced: '5.7.0', text: 'Authentication cancelled' },
  'refused-cancelled': { code: 501, enhanced: '5.7.0', text: 'Authentication cancelled. {refusal}' },
  'auth-failed': { code: 535, enhanced: '5.7.8', text: 'User name or password is wrong, or the MailSender is not in force' },
  'token-refused': { code: 535, enhanced: '5.7.8', text: 'Token refused: {why}' },
  'auth-not-admitted': { code: 535, enhanced: '5.7.8', text: '{manifest} is not admitted by listener {listener}' },

  'bad-sender': { code: 501, enhanced: '5.1.7', text: 'Bad sender address: {why}' },
  'bad-recipient': { code: 501, enhanced: '5.1.3', text: 'Bad recipient address: {why}' },
  'sender-needs-utf8': { code: 550, enhanced: '5.6.7', text: 'The sender address needs SMTPUTF8' },
  'recipient-needs-utf8': { code: 553, enhanced: '5.6.7', text: 'The recipient address needs SMTPUTF8' },
  'unknown-parameter': { code: 555, enhanced: '5.5.4', text: 'Parameter {parameter} is not supported' },
  'bad-parameter': { code: 501, enhanced: '5.5.4', text: 'Bad {parameter}: {why}' },
  'too-big': { code: 552, enhanced: '5.3.4', text: 'Message larger than {limit} octets ({manifest})' },
  'too-many-recipients': { code: 452, enhanced: '4.5.3', text: 'Limit of {limit} recipients per message ({manifest}); send the rest in another' },
  'too-many-at-once': { code: 452, enhanced: '4.5.3', text: 'Too many long recipients for one message; send the rest in another' },
  'too-many-domains': { code: 452, enhanced: '4.5.3', text: 'Too many recipient domains for one message; send the rest in another' },

  'relaying-denied': { code: 550, enhanced: '5.7.1', text: 'Relaying denied: {domain} is not hosted here and nothing admits {who} ({manifest}, rule {rule})' },
  'authenticate-first': { code: 550, enhanced: '5.7.1', text: 'Relaying denied: authenticate first ({manifest}, rule {rule})' },
  'encrypt-first': { code: 550, enhanced: '5.7.1', text: 'Relaying denied: authenticate first, after STARTTLS: without TLS no AUTH is offered ({manifest}, rule {rule})' },
  'not-your-address': { code: 550, enhanced: '5.7.1', text: '{sender} may not send as {address} ({manifest}, rule {rule})' },
  'not-your-header': { code: 550, enhanced: '5.7.1', text: '{sender} may not write {address} in the header From ({manifest}, rule {rule})' },
  'nobody-in-header': { code: 550, enhanced: '5.7.1', text: 'The header From has {text}, which is not one address; a name with a comma or a colon stands in double quotes ({manifest}, rule {rule})' },
  'policy-denied': { code: 550, enhanced: '5.7.1', text: '{words} ({manifest}, rule {rule})' },
  'no-such-user': { code: 550, enhanced: '5.1.1', text: 'No such user {local} at {domain} ({manifest})' },
  'cannot-ask': { code: 451, enhanced: '4.4.1', text: 'The server of {domain} cannot be asked about this user just now ({manifest}); try again later' },
  'over-limit': { code: 450, enhanced: '4.7.1', text: 'Over the limit of {limit} {what} ({manifest}); try again later' },

  'bare-newline': { code: 554, enhanced: '5.6.0', text: 'The message holds a {what} outside CR LF; lines must end with CR LF' },
  'nul': { code: 554, enhanced: '5.6.0', text: 'The message holds a NUL octet; what is binary must be encoded, as base64 does' },
  'bad-header': { code: 554, enhanced: '5.6.0', text: 'Bad header section: {why}' },
  'loop': { code: 554, enhanced: '5.4.6', text: 'More than {limit} Received headers: the message goes round in circles' },
  'queue-full': { code: 452, enhanced: '4.3.1', text: 'The queue is full; try again later' },
  'too-much-at-once': { code: 452, enhanced: '4.3.2', text: 'Too much mail comes in at once to be kept in memory until it is stored; try again later' },
  'being-removed': { code: 451, enhanced: '4.3.2', text: '{manifest} is being removed and takes no new mail; try again elsewhere' },
  'not-stored': { code: 451, enhanced: '4.3.0', text: 'Not stored ({why}); keep the message and try again' },
  'bug': { code: 451, enhanced: '4.3.0', text: 'Something went wrong here; keep the message and try again' },
} as const satisfies Record<string, Reply>

export type ReplyName = keyof typeof replies

/** Fills the words in; what a client or manifest wrote loses its control characters on the wire (receive/reply-wire.ts). */
export const reply = (name: ReplyName, words: Readonly<Record<string, string | number>> = {}): Reply => {
  const { code, enhanced, text } = replies[name]
  return { code, enhanced, text: text.includes('{') ? text.replace(/\{(\w+)\}/g, (whole, key: string) => String(words[key] ?? whole)) : text }
}
