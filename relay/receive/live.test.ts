// Snapshots by chance, one after another, broken ones among them, to a receiving side that runs. It must then say what one says that was begun on the last sound one:
// which listeners are open, the certificate, every line of a dialog by a stranger and by each login, and also to a session that was open all the time.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeCertificate } from '../../test/tools/certificate.ts'
import { loginOf } from '../../test/tools/fake-queue.ts'
import { plainLogin, startTestReceiver, testSnapshot, type TestReceiver } from '../../test/tools/receive.ts'
import { openSmtp, type SmtpClient } from '../../test/tools/smtp-client.ts'
import type { Snapshot } from '../snapshot/index.ts'

const certificates = ['one.test', 'two.test'].map((name) => ({ name, ...makeCertificate(name) }))
const listener = fc.record({
  there: fc.constantFrom(true, true, true, false), bindPort: fc.constantFrom(2525, 2526), tls: fc.constantFrom('one.test', 'two.test', 'two.test', undefined), broken: fc.constantFrom(false, false, false, false, true),
  auth: fc.constantFrom<('PLAIN' | 'LOGIN')[][]>([], ['PLAIN'], ['PLAIN', 'LOGIN']), messageBytes: fc.constantFrom(1000, 2000), recipientsPerMessage: fc.constantFrom(1, 3, 1000), preserved: fc.boolean(),
})
const world = fc.record({
  hostname: fc.constantFrom('mx1.test', 'mx2.test'), closing: fc.constantFrom(false, false, false, true),
  mx: listener, other: listener, otherIs: fc.constantFrom('SMTP' as const, 'Submission' as const, 'Submissions' as const),
  secret: fc.constantFrom('first', 'second', undefined), from: fc.constantFrom<string[][]>(['*@shop.example'], ['a@shop.example', '*@hosted.example']), admitted: fc.constantFrom<string[][]>(['mx', 'other'], ['other']), size: fc.constantFrom(undefined, 500),
  domains: fc.uniqueArray(fc.record({ domain: fc.constantFrom('hosted.example', 'listed.example'), mode: fc.constantFrom('Any' as const, 'List' as const), listeners: fc.constantFrom<string[][]>(['mx'], ['mx', 'other']) }), { selector: ({ domain }) => domain }),
  allows: fc.boolean(), denies: fc.constantFrom(undefined, 'listed.example', 'far.example'), perMinute: fc.constantFrom(undefined, 100_000),
})
type World = typeof world extends fc.Arbitrary<infer T> ? T : never

const snapshotOf = (given: World): Snapshot => testSnapshot((input) => {
  Object.assign(input.relay, { hostname: given.hostname, ...(given.closing && { closing: true }) })
  input.certificates = certificates
  const one = (name: string, protocol: World['otherIs'], { bindPort, tls, broken, auth, messageBytes, recipientsPerMessage, preserved }: World['mx'], port: number) =>
    ({ name, manifest: 'MailRelay mail/main', protocol, port, bindPort: bindPort + port, ...(tls && { tls: { certificate: broken ? 'none' : tls } }), auth, sourceAddressPreserved: preserved, limits: { messageBytes, recipientsPerMessage } })
  input.listeners = [...(given.mx.there ? [one('mx', 'SMTP', given.mx, 25)] : []), ...(given.other.there ? [one('other', given.otherIs, given.other, 587)] : [])]
  input.senders = given.secret === undefined ? [] : [{ namespace: 'shop', name: 'shop', manifest: 'MailSender shop/shop', listeners: given.admitted, auth: loginOf('shop', given.secret), from: given.from, limits: { ...(given.size !== undefined && { maxMessageBytes: given.size }) } }]
  input.domains = given.domains.map(({ domain, mode, listeners }) => ({ namespace: 'mail', name: domain, manifest: `MailDomain mail/${domain}`, domain, listeners, inbound: { recipients: { mode, list: ['ann'] } } }))
  const rules = [...(given.denies ? [{ name: 'no', match: { rcptTo: [`*@${given.denies}`] }, action: 'Deny' as const }] : []), ...(given.allows ? [{ name: 'yes', match: { sources: ['127.0.0.1/32'] }, action: 'Allow' as const }] : [])]
  input.policies = [{ namespace: 'mail', name: 'house', manifest: 'RelayPolicy mail/house', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules, limits: [{ by: 'source', ...(given.perMinute && { messagesPerMinute: given.perMinute }) }] }]
})

const questions = [
  ...['a@shop.example', 'b@shop.example', 'x@far.example'].flatMap((from) => ['MAIL FROM:<' + from + '> SIZE=700', 'RCPT TO:<ann@hosted.example>', 'RCPT TO:<bob@listed.example>', 'RCPT TO:<ann@listed.example>', 'RCPT TO:<you@far.example>', 'RSET']),
  'MAIL FROM:<a@shop.example> SIZE=1500', 'RSET', 'HELP',
]
const ask = async (client: SmtpClient): Promise<string[]> => {
  const said: string[] = []
  for (const question of ['EHLO client.example', ...questions]) said.push(...(await client.say(question)).lines)
  return said
}

/** Everything that one listener says, to a stranger and after each login. */
const dialogs = async (receiver: TestReceiver, { name, protocol, tls }: Snapshot['listeners'][number]): Promise<string[]> => {
  const each = [undefined, 'first', 'second'].map(async (secret) => {
    const client = await openSmtp(receiver.port(name), { tls: protocol === 'Submissions' })
    const said = [...client.greeting.lines, ...(await client.say('EHLO client.example')).lines]
    if (protocol !== 'Submissions' && tls) await client.startTls()
    said.push(client.serverName() ?? 'no TLS', ...(await client.say('EHLO client.example')).lines)
    if (secret !== undefined) said.push(...(await client.say(`AUTH PLAIN ${plainLogin('shop', secret)}`)).lines)
    said.push(...(await ask(client)))
    client.close()
    return said
  })
  return (await Promise.all(each)).flat()
}

const isOpen = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false))
})

test('after 1 to 6 changes by chance a receiving side says to everybody what a fresh one says on the last sound snapshot', { timeout: 300_000 }, async () => {
  await fc.assert(fc.asyncProperty(world, fc.array(world, { minLength: 1, maxLength: 6 }), async (first, changes) => {
    const begun = snapshotOf({ ...first, mx: { ...first.mx, there: true, broken: false, tls: 'one.test', bindPort: 2525 }, other: { ...first.other, broken: false, tls: 'two.test' } })
    const running = await startTestReceiver(begun)
    const seen = new Set(running.receiving.addresses().map(({ port }) => port))
    const before = await openSmtp(running.port('mx'))
    let last = begun
    let stayed = true
    for (const change of changes) {
      const next = snapshotOf(change)
      const taken = await running.receiving.reload(next).then(() => true, () => false)
      assert.equal(taken, next.listeners.every(({ tls, protocol }) => (tls ? tls.certificate !== 'none' : protocol !== 'Submissions')))
      if (taken) last = next
      stayed &&= last.listeners.some(({ name, bindPort }) => name === 'mx' && bindPort === 2550)
      for (const { port } of running.receiving.addresses()) seen.add(port)
    }
    const fresh = await startTestReceiver(last)
    try {
      const open = running.receiving.addresses()
      assert.deepEqual(open.map(({ listener: name }) => name).toSorted(), last.listeners.map(({ name }) => name).toSorted())
      for (const port of seen) if (!fresh.receiving.addresses().some((one) => one.port === port)) assert.equal(await isOpen(port), open.some((one) => one.port === port))
      await Promise.all(last.listeners.map(async (one) => {
        const [said, wanted] = await Promise.all([dialogs(running, one), dialogs(fresh, one)])
        assert.deepEqual(said, wanted)
      }))
      if (stayed) {
        const anew = await openSmtp(fresh.port('mx'))
        assert.deepEqual(await ask(before), await ask(anew))
        anew.close()
      } else assert.equal((await before.reply()).code, 421)
    } finally {
      before.close()
      await Promise.all([running.stop(), fresh.stop()])
    }
  }), { numRuns: 24, endOnFailure: true })
})
