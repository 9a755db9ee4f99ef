// Replies that are not those of the commands they seem to answer: no recipient fails or is told anything by another's, and no later message either.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { attemptOf, bodyOf, mailbox, testDeliverer, testDelivery, testMessage, testSnapshot } from '../../test/tools/delivery.ts'
import { startTalkingHost, type Script, type TalkingHost } from '../../test/tools/talking-host.ts'
import type { Settlement } from '../queue/index.ts'
import type { RunningDeliverer } from './index.ts'

const snapshotOf = ({ port }: { readonly port: number }) =>
  testSnapshot({ domains: [{ namespace: 'mail', name: 'home', manifest: 'MailDomain mail/home', domain: 'home.example', listeners: [], inbound: { recipients: { mode: 'Any' }, hosts: [{ host: '127.0.0.1', port, preference: 10 }] } }] })

const world = async (t: TestContext, script: Script, offers?: readonly string[]): Promise<{ host: TalkingHost; deliverer: RunningDeliverer; send: (...users: string[]) => Promise<Settlement> }> => {
  const host = await startTalkingHost(script, offers && { offers })
  const deliverer = testDeliverer(snapshotOf(host))
  t.after(() => Promise.all([deliverer.close(), host.close()]))
  const send = (...users: string[]): Promise<Settlement> => attemptOf(deliverer, testDelivery({ to: users.map((user) => `${user}@home.example`), bytes: testMessage.length }), bodyOf(testMessage))
  return { host, deliverer, send }
}
const failed = ({ notices }: Settlement): string[] => notices.map(({ recipient }) => recipient.mailbox.local)

const gone = '550 5.1.1 no such user'
const ehlo = '250-host.example\r\n250 PIPELINING\r\n'

for (const [what, say] of [
  ['with its greeting', (verb: string) => (verb === 'GREETING' ? { text: '220 host.example\r\n250 2.0.0 ok\r\n' } : undefined)],
  ['with that to EHLO', (verb: string) => (verb === 'EHLO' ? { text: `${ehlo}250 2.0.0 ok\r\n` } : undefined)],
  ['with that to MAIL', (verb: string) => (verb === 'MAIL' ? { text: '250 2.1.0 ok\r\n250 2.1.0 ok\r\n' } : undefined)],
] as const)
  for (const offers of [['PIPELINING'], []])
    test(`of a host that says 1 reply too many ${what}, ${offers.length > 0 ? 'with' : 'without'} PIPELINING, no recipient fails by the refusal of another`, async (t) => {
      const { send } = await world(t, (verb, line) => say(verb) ?? (line.includes('gone@') ? gone : undefined), offers)
      assert.deepEqual(failed(await send('a', 'gone', 'b')).filter((user) => user !== 'gone'), [])
    })

for (const offers of [['PIPELINING'], []])
  test(`1 reply said twice to the first of 2 recipients, ${offers.length > 0 ? 'with' : 'without'} PIPELINING, fails none but that whose it is`, async (t) => {
    const { send } = await world(t, (_, line) => (line.includes('a@') ? { text: '250 2.1.5 ok\r\n250 2.1.5 ok\r\n' } : line.includes('gone@') ? gone : undefined), offers)
    assert.deepEqual(failed(await send('a', 'gone')).filter((user) => user !== 'gone'), [])
  })

for (const at of ['MAIL', 'RCPT', 'DATA'])
  for (const offers of [['PIPELINING'], []])
    test(`550 and 221 at ${at}, ${offers.length > 0 ? 'with' : 'without'} PIPELINING, are a refusal and a goodbye: the message is returned at once, 0 of it waits`, async (t) => {
      const { send } = await world(t, (verb) => (verb === at ? { text: '550 5.7.1 not from you\r\n221 2.0.0 bye\r\n', closes: true } : undefined), offers)
      const settled = await send('a')
      assert.deepEqual([failed(settled), settled.later], [['a'], undefined])
    })

test('a connection on which 354 answered the final dot is not used for another message', async (t) => {
  const { host, send } = await world(t, (verb, _, count) => (verb === 'DOT' && count === 0 ? '354 go on' : undefined))
  const [first, second] = [await send('a'), await send('b')]
  assert.deepEqual([first.later?.recipients.length, second.later, host.connections(), host.took], [1, undefined, 2, ['b@home.example']])
})

test('503 to MAIL on a kept connection is that connection\'s: the message goes over a fresh one, of 2', async (t) => {
  const { host, send } = await world(t, (verb, _, count) => (verb === 'MAIL' && count === 1 ? '503 5.5.1 sender already given' : undefined))
  const settled = [await send('a'), await send('b')]
  assert.deepEqual([settled.map(failed), host.took.length, host.connections()], [[[], []], 2, 2])
})

for (const offers of [['PIPELINING'], []])
  test(`a reply too many on a kept connection, ${offers.length > 0 ? 'with' : 'without'} PIPELINING, is that connection's too: the message goes over a fresh one, of 2`, async (t) => {
    const { host, send } = await world(t, (verb, _, count) => (verb === 'MAIL' && count === 1 ? { text: '250 2.0.0 queued as 1\r\n250 2.1.0 ok\r\n' } : undefined), offers)
    const settled = [await send('a'), await send('b')]
    assert.deepEqual([settled.map(({ later }) => later), host.took, host.connections()], [[undefined, undefined], ['a@home.example', 'b@home.example'], 2])
  })

test('a host that says a reply too many on each connection gets 1 kept one and 1 fresh one for a message, no more', async (t) => {
  const { host, send } = await world(t, (verb, _, count) => (verb === 'MAIL' && count > 0 ? { text: '250 2.0.0 queued as 1\r\n250 2.1.0 ok\r\n' } : undefined))
  const settled = [await send('a'), await send('b')]
  assert.deepEqual([settled.map(({ later }) => later?.recipients.length), host.took, host.connections()], [[undefined, 1], ['a@home.example'], 2])
})

test('a connection on which a callout\'s RSET was answered 502 carries no message: its MAIL would be the 2nd there', async (t) => {
  const { host, deliverer, send } = await world(t, (verb) => (verb === 'RSET' ? '502 5.5.1 not here' : undefined))
  assert.equal(await deliverer.callout(snapshotOf(host).domains[0]!, mailbox('a@home.example')), 'yes')
  const settled = await send('a')
  assert.deepEqual([failed(settled), settled.later, host.connections()], [[], undefined, 2])
})

test('a callout over a connection with 1 reply too many is no answer: that to MAIL would be taken for a yes', async (t) => {
  const { host, deliverer } = await world(t, (verb) => (verb === 'EHLO' ? { text: `${ehlo}250 2.0.0 ok\r\n` } : verb === 'RCPT' ? gone : undefined))
  assert.equal(await deliverer.callout(snapshotOf(host).domains[0]!, mailbox('gone@home.example')), 'unknown')
})

test('a callout whose RCPT gets 2 replies is no answer either: of 550 and 250 none says whether the user is there', async (t) => {
  const replies = [gone, '250 2.0.0 ok']
  for (const said of [replies, replies.toReversed()]) {
    const { host, deliverer } = await world(t, (verb) => (verb === 'RCPT' ? { text: `${said.join('\r\n')}\r\n` } : undefined))
    assert.equal(await deliverer.callout(snapshotOf(host).domains[0]!, mailbox('a@home.example')), 'unknown')
  }
})

for (const words of ['550 5.5.3 too many recipients', '451 4.5.3 too many recipients', '552 too many recipients', '452 4.5.3 too many'])
  test(`of 3 recipients those after the first, whom ${words} meets, follow in 2 further transactions (RFC 3463 X.5.3)`, async (t) => {
    let to = 0
    const { host, send } = await world(t, (verb) => {
      if (verb === 'MAIL') to = 0
      return verb === 'RCPT' && to++ > 0 ? words : undefined
    })
    const settled = await send('a', 'b', 'c')
    assert.deepEqual([failed(settled), settled.later, host.took.length], [[], undefined, 3])
  })

for (const offers of [['PIPELINING'], []])
  for (const [what, closes] of [['closes at the 3rd recipient', true], ['says so to all that follows', false]] as const)
    test(`of 5 recipients to a host that ${what} with 421 4.5.3, ${offers.length > 0 ? 'with' : 'without'} PIPELINING, the 2 before it have the mail by a 2nd connection, and 3 wait`, async (t) => {
      let to = 0
      const words = '421 4.5.3 too many recipients'
      const { host, send } = await world(t, (verb) => {
        if (verb === 'MAIL') to = 0
        if (verb === 'RCPT') to += 1
        return (verb === 'RCPT' || verb === 'DATA') && to > 2 ? { text: `${words}\r\n`, closes } : undefined
      }, offers)
      const settled = await send('a', 'b', 'c', 'd', 'e')
      assert.deepEqual([host.took, settled.later?.recipients.map(({ mailbox: { local } }) => local), settled.later?.last.said, host.connections()], [['a@home.example', 'b@home.example'], ['c', 'd', 'e'], words, 2])
    })

test('a host that greets twice and says 503 to EHLO has not refused the message: 0 of its recipients fail', async (t) => {
  const { send } = await world(t, (verb) => (verb === 'GREETING' ? { text: '220 host.example\r\n220 host.example\r\n' } : verb === 'EHLO' ? '503 5.5.1 not yet' : undefined))
  const settled = await send('a')
  assert.deepEqual([failed(settled), settled.later?.last.class], [[], 'Connect'])
})
