// What can-send says, against what a real session of the same snapshot answers.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainLogin, startTestReceiver, testSnapshot, type TestReceiver } from '../test/tools/receive.ts'
import { openLine } from '../test/tools/talk.ts'
import { writeSnapshot, type SnapshotInput } from '../relay/snapshot/index.ts'
import { answersTo, type Answer } from './can-send.ts'

type Policy = NonNullable<SnapshotInput['policies']>[number]
type Attempt = { readonly listener: string; readonly as: 'shop/shop' | '127.0.0.1'; readonly tls: boolean; readonly helo: string; readonly from: string; readonly to: string }

const addresses = ['a@shop.example', 'boss@hosted.example', 'x@far.example', 'fred@listed.example', 'fred+x@listed.example', 'nobody@listed.example', 'POSTMASTER@listed.example', '"a b"@hosted.example', 'a b@hosted.example', 'a..b@hosted.example', 'x@[192.0.2.7]', 'x@ho_st.example', 'ü@hosted.example', 'postmaster', 'PostMaster']
const attempt: fc.Arbitrary<Attempt> = fc.record({
  listener: fc.constantFrom('mx', 'submission', 'submissions'), as: fc.constantFrom('shop/shop', '127.0.0.1'), tls: fc.boolean(), helo: fc.constantFrom('client.example', 'SPAM.example'),
  from: fc.constantFrom('', ...addresses), to: fc.constantFrom(...addresses),
})
const oneOf = (...lists: string[][]): fc.Arbitrary<string[]> => fc.constantFrom(...lists)
const match = fc.record({
  authenticated: fc.boolean(), tls: fc.boolean(), helo: oneOf(['spam.example']), sources: oneOf(['127.0.0.0/8'], ['192.0.2.0/24']), mailFrom: oneOf(['<>'], ['*@shop.example'], ['*']), rcptTo: oneOf(['*@far.example'], ['*@hosted.example']),
}, { requiredKeys: [] })
const targets: Policy['targets'][] = [[{ kind: 'MailRelay' }], [{ kind: 'MailSender', sender: 'shop/shop' }]]
const policy: fc.Arbitrary<Policy> = fc.record({
  namespace: fc.constant('mail'), name: fc.constant('house'), manifest: fc.constant('RelayPolicy mail/house'), mayAllowSources: fc.boolean(), mode: fc.constantFrom('Enforce', 'Warn'),
  targets: fc.constantFrom(...targets),
  rules: fc.array(fc.record({ name: fc.constant('one'), match, action: fc.constantFrom('Allow', 'Deny', 'Hold') }), { minLength: 1, maxLength: 3 }),
})
const change = fc.record({ policies: fc.array(policy, { maxLength: 2 }), closing: fc.integer({ max: 5, min: 0 }).map((n) => n === 0), null: fc.boolean(), preserved: fc.boolean() })

test('in 30 random sets of manifests can-send says of each of 8 random mails what a session says, in the same words', async () => {
  await fc.assert(fc.asyncProperty(change, fc.array(attempt, { minLength: 8, maxLength: 8 }), async (changed, attempts) => {
    const snapshot = testSnapshot((input) => {
      input.policies = changed.policies
      Object.assign(input.relay, { closing: changed.closing })
      Object.assign(input.senders![0]!, { allowNullSender: changed.null })
      for (const listener of input.listeners) listener.sourceAddressPreserved = changed.preserved
    })
    const receiver = await startTestReceiver(snapshot)
    try {
      for (const one of attempts) {
        const [said, heard] = [offline(snapshot, one), await real(receiver, one)]
        if (said === noAddress) assert.notEqual(heard, 'yes', JSON.stringify(one)) // a session may have refused something before it
        else assert.equal(said, heard, JSON.stringify(one))
      }
    } finally {
      await receiver.stop()
    }
  }), { numRuns: 30 })
})

const noAddress = 'no address'

/** What the client would read, or yes; what is no address is refused before anything is asked. */
const offline = (snapshot: ReturnType<typeof testSnapshot>, { as, listener, tls, helo, from, to }: Attempt): string => {
  try {
    const [answer] = answersTo(snapshot, { as, listener, helo, from, to: [to], source: '127.0.0.1', tls: tls || as === 'shop/shop' }) as [Answer]
    return answer.verdict === 'no' ? answer.reply!.replace(/[^\x20-\x7e]/gu, '?') : 'yes'
  } catch (error) {
    return /not an address/.test((error as Error).message) ? noAddress : String(error)
  }
}

const real = async (receiver: TestReceiver, { as, listener, tls, helo, from, to }: Attempt): Promise<string> => {
  const line = await openLine({ port: receiver.port(listener), implicitTls: listener === 'submissions' })
  try {
    await line.reply(30_000)
    await line.ask(`EHLO ${helo}`)
    if ((tls || as === 'shop/shop') && listener !== 'submissions') {
      await line.ask('STARTTLS')
      await line.startTls()
      await line.ask(`EHLO ${helo}`)
    }
    const commands = [...(as === 'shop/shop' ? [`AUTH PLAIN ${plainLogin()}`] : []), `MAIL FROM:<${from}> SMTPUTF8`, `RCPT TO:<${to}>`]
    for (const command of commands) {
      const reply = await line.ask(command)
      if (/^501 5\.1\.[37]/.test(reply)) return noAddress
      if (!reply.startsWith('2')) return reply
    }
    return 'yes'
  } finally {
    line.destroy()
  }
}

test('postmaster without a domain is 1 that every listener knows (RFC 5321 4.5.1), as a recipient and not as a sender', () => {
  const asked = { as: 'stranger', listener: 'mx', helo: 'a.example', from: 'a@far.example', to: ['<Postmaster>'] }
  assert.deepEqual(answersTo(testSnapshot(), asked).map(({ to, verdict }) => [to, verdict]), [['postmaster@hosted.example', 'yes']])
  assert.throws(() => answersTo(testSnapshot(), { ...asked, from: 'postmaster' }), /--from postmaster: not an address/)
})

test('without -f the verdict is by what the relay runs that npm start has beside it, and where 0 run there the manifests are to be named', async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'posthouse-can-send-'))
  t.after(() => rmSync(cwd, { recursive: true }))
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      const args = [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'can-send', '--as', 'stranger', '--from', 'a@far.example', '--to', 'b@hosted.example']
      execFile(process.execPath, args, { cwd }, (_, out, err) => resolve(out + err))
    })
  mkdirSync(join(cwd, '.posthouse'))
  writeSnapshot(join(cwd, '.posthouse', 'snapshot'), testSnapshot())
  assert.match(await ask(), /^name the manifests with -f DIR/, 'what ran there once says nothing')
  writeFileSync(join(cwd, '.posthouse', 'admin.sock'), '')
  assert.match(await ask(), /^b@hosted\.example: yes \(rule hosted-domain of MailDomain mail\/hosted, listener mx\)/)
})
