import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { afterReply, afterSilence, reasonOf, whatNow, type Next, type Place, type Silent, type TlsFault } from './failover.ts'
import type { RemoteReply } from './outcome.ts'

const reply = (command: Place, line: string): RemoteReply => {
  const enhanced = /^\d{3} ([245]\.\d+\.\d+)/.exec(line)?.[1]
  return { host: 'mx.example', address: '192.0.2.1', command, code: Number(line.slice(0, 3)), lines: [line], ...(enhanced !== undefined && { enhanced }) }
}
const said = (command: Place, line: string, someTaken?: boolean): Next => whatNow({ kind: 'said', said: reply(command, line), ...(someTaken !== undefined && { someTaken }) })
const silent = (change: Partial<Silent>): Silent => ({ kind: 'silent', at: 'MAIL', how: 'lost', host: 'mx.example', address: '192.0.2.1', text: 'gone', reused: false, dotWritten: false, ...change })
const tls = (how: TlsFault['how'], policy: TlsFault['policy']): TlsFault => ({ kind: 'tls', how, policy, implicitTls: false, host: 'mx.example', address: '192.0.2.1', text: 'no' })

describe('the failover table', () => {
  const rows: readonly [string, Next, Next][] = [
    ['connection refused', whatNow(silent({ at: 'CONNECT', how: 'refused' })), 'next-host'],
    ['a hang at connect', whatNow(silent({ at: 'CONNECT', how: 'timeout' })), 'next-host'],
    ['a hang before the greeting', whatNow(silent({ at: 'GREETING', how: 'timeout' })), 'next-host'],
    ['the connection lost before the greeting', whatNow(silent({ at: 'GREETING' })), 'next-host'],
    ['421 at the greeting', said('GREETING', '421 4.3.2 closing'), 'next-host'],
    ['450 at the greeting', said('GREETING', '450 busy'), 'next-host'],
    ['554 at the greeting', said('GREETING', '554 5.3.2 no service'), 'next-host'],
    ['4xx to EHLO', said('EHLO', '451 4.3.0 trouble'), 'next-host'],
    ['5xx to EHLO', said('EHLO', '502 5.5.1 what'), 'helo'],
    ['500 to EHLO, the lowest of them', said('EHLO', '500 what'), 'helo'],
    ['5xx to HELO as well', said('HELO', '502 5.5.1 what'), 'next-host'],
    ['4xx to HELO', said('HELO', '421 4.3.0 trouble'), 'next-host'],
    ['required TLS not offered', whatNow(tls('not-offered', 'Require')), 'next-host'],
    ['a certificate that proves nothing, where Verify is wanted', whatNow(tls('unverified', 'Verify')), 'next-host'],
    ['a failed handshake, opportunistic', whatNow(tls('handshake', 'Opportunistic')), 'same-host-without-tls'],
    ['a failed handshake, required', whatNow(tls('handshake', 'Require')), 'next-host'],
    ['a failed handshake, verified', whatNow(tls('handshake', 'Verify')), 'next-host'],
    ['a failed handshake on a port that is TLS from the first byte, opportunistic', whatNow({ ...tls('handshake', 'Opportunistic'), implicitTls: true }), 'next-host'],
    ['bytes injected before the handshake, opportunistic', whatNow(tls('injected', 'Opportunistic')), 'next-host'],
    ['refused AUTH', said('AUTH', '535 5.7.8 wrong'), 'next-host'],
    ['4.7.x to AUTH', said('AUTH', '454 4.7.0 trouble'), 'next-host'],
    ['421 to MAIL', said('MAIL', '421 4.3.0 closing'), 'next-host'],
    ['421 to RCPT', said('RCPT', '421 4.3.2 closing'), 'next-host'],
    ['4xx to MAIL', said('MAIL', '451 4.3.0 trouble'), 'next-host'],
    ['450 to MAIL without enhanced code', said('MAIL', '450 hm'), 'next-host'],
    ['4xx to DATA', said('DATA', '451 4.3.0 trouble'), 'next-host'],
    ['the connection lost at RCPT', whatNow(silent({ at: 'RCPT' })), 'next-host'],
    ['a time-out at DATA', whatNow(silent({ at: 'DATA', how: 'timeout' })), 'next-host'],
    ['the connection lost within the message', whatNow(silent({ at: 'DOT' })), 'next-host'],
    ['4.3.x after the dot', said('DOT', '451 4.3.1 disk full'), 'next-host'],
    ['4.4.x after the dot', said('DOT', '451 4.4.2 trouble'), 'next-host'],
    ['4xx to RCPT', said('RCPT', '450 4.2.1 mailbox busy'), 'later'],
    ['450 to RCPT without enhanced code', said('RCPT', '450 try again'), 'later'],
    ['other 4xx after the dot', said('DOT', '451 4.2.0 not now'), 'later'],
    ['421 after the dot', said('DOT', '421 closing'), 'later'],
    ['421 4.3.x after the dot', said('DOT', '421 4.3.2 closing'), 'next-host'],
    ['421 4.4.x after the dot', said('DOT', '421 4.4.2 trouble'), 'next-host'],
    ['421 4.7.x after the dot', said('DOT', '421 4.7.0 rate limited'), 'later'],
    ['4.7.1 to MAIL', said('MAIL', '451 4.7.1 greylisted'), 'later'],
    ['4.7.0 at the greeting', said('GREETING', '421 4.7.0 too many connections'), 'later'],
    ['421 4.7.0 to MAIL', said('MAIL', '421 4.7.0 rate limited'), 'later'],
    ['4.7.x after the dot', said('DOT', '451 4.7.5 rate limited'), 'later'],
    ['greylisting in words alone, to MAIL', said('MAIL', '451 greylisted, try again later'), 'later'],
    ['the connection lost after the dot', whatNow(silent({ at: 'DOT', dotWritten: true })), 'later'],
    ['a time-out after the dot', whatNow(silent({ at: 'DOT', how: 'timeout', dotWritten: true })), 'later'],
    ['called off by ourselves', whatNow(silent({ how: 'aborted' })), 'later'],
    ['452 to RCPT after some were taken', said('RCPT', '452 4.5.3 too many', true), 'further-transaction'],
    ['552 to RCPT after some were taken', said('RCPT', '552 too many', true), 'further-transaction'],
    ['550 5.5.3 to RCPT after some were taken', said('RCPT', '550 5.5.3 too many', true), 'further-transaction'],
    ['550 5.5.3 to RCPT when none was taken', said('RCPT', '550 5.5.3 too many'), 'fail'],
    ['452 to RCPT when none was taken', said('RCPT', '452 4.5.3 too many'), 'later'],
    ['552 to RCPT when none was taken', said('RCPT', '552 5.2.2 full'), 'fail'],
    ['550 to RCPT', said('RCPT', '550 5.1.1 no such user'), 'fail'],
    ['500 to RCPT, the lowest of them', said('RCPT', '500 no'), 'fail'],
    ['5xx to MAIL', said('MAIL', '550 5.7.1 no'), 'fail'],
    ['5xx to DATA', said('DATA', '554 5.5.1 no valid recipients'), 'fail'],
    ['5xx after the dot', said('DOT', '554 5.6.0 spam'), 'fail'],
    ['a kept connection found closed', whatNow(silent({ reused: true })), 'same-host-fresh'],
    ['421 to MAIL on a kept connection', whatNow({ kind: 'said', said: reply('MAIL', '421 4.3.2 enough'), reused: true }), 'same-host-fresh'],
    ['421 4.7.0 to MAIL on a kept connection', whatNow({ kind: 'said', said: reply('MAIL', '421 4.7.0 rate limited'), reused: true }), 'later'],
    ['503 to MAIL on a kept connection', whatNow({ kind: 'said', said: reply('MAIL', '503 5.5.1 nested MAIL command'), reused: true }), 'same-host-fresh'],
    ['503 to MAIL on a fresh connection', said('MAIL', '503 5.5.1 log in first'), 'fail'],
    ['451 to MAIL on a kept connection', whatNow({ kind: 'said', said: reply('MAIL', '451 4.3.0 trouble'), reused: true }), 'next-host'],
    ['421 to RCPT on a kept connection', whatNow({ kind: 'said', said: reply('RCPT', '421 4.3.2 closing'), reused: true }), 'next-host'],
    ['a reply too many on a kept connection', whatNow(silent({ reused: true, how: 'garbled', at: 'RCPT' })), 'same-host-fresh'],
    ['a reply too many on a kept connection after the dot', whatNow(silent({ reused: true, how: 'garbled', at: 'DOT', dotWritten: true })), 'later'],
    ['a reply too many on a fresh connection', whatNow(silent({ how: 'garbled', at: 'RCPT' })), 'next-host'],
    ['a kept connection that hangs', whatNow(silent({ reused: true, how: 'timeout' })), 'next-host'],
    ['a kept connection lost after RCPT', whatNow(silent({ reused: true, at: 'RCPT' })), 'next-host'],
    ['garbage instead of a reply', whatNow(silent({ how: 'garbled' })), 'next-host'],
    ['an endless reply', whatNow(silent({ how: 'endless' })), 'next-host'],
  ]
  for (const [what, is, shouldBe] of rows) it(`${what}: ${shouldBe}`, () => assert.equal(is, shouldBe))
})

describe('the reason of a deferral', () => {
  it('is Connect with 4.x.x for a host that turns everybody away with 554', () => {
    const why = reasonOf({ kind: 'said', said: reply('GREETING', '554 5.3.2 no service') })
    assert.deepEqual([why.class, why.status], ['Connect', '4.3.2'])
  })
  it('is TLS where the policy could not be met', () => assert.equal(reasonOf(tls('unverified', 'Verify')).class, 'TLS'))
  it('is Connect where nothing was heard', () => assert.deepEqual([reasonOf(silent({ at: 'CONNECT', how: 'timeout' })).class, reasonOf(silent({ at: 'CONNECT' })).status], ['Connect', '4.4.1']))
  const rows: readonly [string, ReturnType<typeof reasonOf>, string][] = [
    ['4xx at the greeting', reasonOf({ kind: 'said', said: reply('GREETING', '421 4.3.2 closing') }), 'Connect 4.3.2'],
    ['4xx to EHLO', reasonOf({ kind: 'said', said: reply('EHLO', '451 4.3.0 trouble') }), 'Connect 4.3.0'],
    ['5xx to HELO', reasonOf({ kind: 'said', said: reply('HELO', '502 5.5.1 what') }), 'Connect 4.5.1'],
    ['5xx to STARTTLS', reasonOf({ kind: 'said', said: reply('STARTTLS', '501 no') }), 'TLS 4.7.5'],
    ['5xx to AUTH, which is no trouble of the connection', reasonOf({ kind: 'said', said: reply('AUTH', '535 5.7.8 wrong') }), 'Other 4.7.8'],
    ['4xx to RCPT', reasonOf({ kind: 'said', said: reply('RCPT', '450 4.2.1 mailbox busy') }), 'Other 4.2.1'],
    ['5xx to RCPT, which keeps its digit', reasonOf({ kind: 'said', said: reply('RCPT', '550 5.1.1 no such user') }), 'Other 5.1.1'],
    ['a connection lost at MAIL', reasonOf(silent({})), 'Connect 4.4.2'],
    ['silence within the handshake', reasonOf(silent({ at: 'TLS', how: 'timeout' })), 'TLS 4.4.2'],
    ['an attempt called off by ourselves', reasonOf(silent({ how: 'aborted' })), 'Other 4.4.2'],
  ]
  for (const [what, why, expected] of rows) it(`of ${what} is ${expected}`, () => assert.equal(`${why.class} ${why.status}`, expected))
  it('keeps the remote\'s words', () => assert.match(reasonOf({ kind: 'said', said: reply('RCPT', '450 4.2.0 come back') }).text, /450 4\.2\.0 come back/))
})

/** Compiled, never run: style rule 9. A silence has no way to become a bounce. */
type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
const timeoutsNeverBounce: Equal<Extract<ReturnType<typeof afterSilence>, 'fail'>, never> = true
const repliesMay: Equal<Extract<ReturnType<typeof afterReply>, 'fail'>, 'fail'> = true
// @ts-expect-error: a time-out is no reply, and only a reply may be judged as one
const noSilenceAsReply = (event: Silent): Next => afterReply(event)
void [timeoutsNeverBounce, repliesMay, noSilenceAsReply]
