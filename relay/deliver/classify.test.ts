import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { classify } from './classify.ts'
import type { RemoteReply } from './outcome.ts'

const reply = (command: RemoteReply['command'], line: string): RemoteReply => {
  const enhanced = /^\d{3}[ -]([245]\.\d+\.\d+)/.exec(line)?.[1]
  return { host: 'mx', address: '192.0.2.1', command, code: Number(line.slice(0, 3)), lines: [line], ...(enhanced !== undefined && { enhanced }) }
}

describe('a reply\'s class', () => {
  // as well-known hosts say it
  const rows: readonly [RemoteReply['command'], string, string][] = [
    ['RCPT', '450 4.2.0 <a@b>: Recipient address rejected: Greylisted, see http://postgrey', 'greylisted Greylist 4.2.0'],
    ['RCPT', '451 4.7.1 Greylisting in action, please come back later', 'greylisted Greylist 4.7.1'],
    ['RCPT', '451 Temporarily deferred, try again later', 'greylisted Greylist 4.7.1'],
    ['DOT', '421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume; rate limited', 'rate-limited RateLimited 4.7.0'],
    ['MAIL', '421 4.7.28 Our system has detected an unusual rate of unsolicited mail', 'rate-limited RateLimited 4.7.28'],
    ['RCPT', '450 4.2.1 The user is receiving mail too quickly; rate', 'rate-limited RateLimited 4.2.1'],
    ['RCPT', '452 4.2.2 The email account is over quota', 'mailbox-full QuotaExceeded 4.2.2'],
    ['RCPT', '552 5.2.2 mailbox full', 'mailbox-full QuotaExceeded 5.2.2'],
    ['RCPT', '550 5.1.1 The email account that you tried to reach does not exist', 'no-such-user Other 5.1.1'],
    ['RCPT', '550 No such user', 'no-such-user Other 5.1.1'],
    ['MAIL', '550 5.7.1 Service unavailable, client host blocked using an RBL', 'policy Other 5.7.1'],
    ['DOT', '554 5.6.0 Message contains bare LF', 'content-refused Other 5.6.0'],
    ['DOT', '550 spam', 'content-refused Other 5.6.0'],
    ['MAIL', '552 5.3.4 Message size exceeds fixed limit', 'too-big Other 5.3.4'],
    ['MAIL', '552 too large', 'too-big Other 5.3.4'],
    ['GREETING', '554 5.7.1 go away', 'host-down Connect 5.7.1'],
    ['MAIL', '421 closing', 'host-down Connect 4.3.2'],
    ['AUTH', '535 5.7.8 bad credentials', 'auth Other 5.7.8'],
    ['STARTTLS', '454 4.7.0 TLS not available', 'tls TLS 4.7.0'],
    ['DATA', '451 4.3.0 queue file write error', 'host-trouble Other 4.3.0'],
    ['RCPT', '451 hm', 'host-trouble Other 4.3.0'],
    ['RCPT', '550 5.2.3 message length exceeds the limit', 'too-big Other 5.2.3'],
    ['RCPT', '550 5.2.1 mailbox disabled', 'not-accepting Other 5.2.1'],
    ['MAIL', '530 5.7.10 encryption needed', 'tls TLS 5.7.10'],
    ['MAIL', '421 4.7.0 wait', 'rate-limited RateLimited 4.7.0'],
    ['RCPT', '450 4.7.1 wait', 'greylisted Greylist 4.7.1'],
    ['DOT', '451 4.7.1 wait', 'policy Other 4.7.1'],
    ['RCPT', '452 wait', 'mailbox-full QuotaExceeded 4.2.2'],
    ['MAIL', '450 too many messages', 'rate-limited RateLimited 4.7.0'],
    ['AUTH', '535 no', 'auth Other 5.7.8'],
    ['STARTTLS', '454 no', 'tls TLS 4.7.5'],
    ['DATA', '451 4.3.0 <bob@corporate.example>: queue file write error', 'host-trouble Other 4.3.0'],
    ['RCPT', '450 4.4.3 nameserver of generated.example does not operate', 'host-trouble Other 4.4.3'],
    ['RCPT', '499 what', 'unknown Other 4.0.0'],
    ['DOT', '354 go on', 'unknown Other 4.0.0'],
    ['RCPT', '599 what', 'unknown Other 5.0.0'],
  ]
  for (const [command, line, expected] of rows) {
    it(`${command} ${line}: ${expected}`, () => {
      const found = classify(reply(command, line))
      assert.equal(`${found.topic} ${found.class} ${found.status}`, expected)
    })
  }
  it('never turns a 4xx into a status of 5, nor a 5xx into one of 4 (property)', () => {
    fc.assert(fc.property(fc.integer({ min: 400, max: 599 }), fc.constantFrom('GREETING', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT', 'AUTH'), fc.string(), (code, command, words) => {
      assert.equal(classify(reply(command as RemoteReply['command'], `${code} ${words.replace(/^[245]\.\d/, '')}`)).status[0], String(code)[0])
    }))
  })
})
