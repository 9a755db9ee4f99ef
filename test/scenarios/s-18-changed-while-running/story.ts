// Certificates and manifests change under a running relay: who is connected notices nothing, who comes next finds the new. A mistake changes nothing.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificate, type TestCertificate } from '../../tools/certificate.ts'
import { copyManifests, queueLength, startStandalone, type Standalone } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { openSmtp, sendMail, type SmtpClient } from '../../tools/smtp-client.ts'
import { sleep, until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const old = makeCertificate('old.relay.example')
const fresh = makeCertificate('new.relay.example')

export const story: Story = {
  title: 'A certificate and a manifest are changed while the relay runs; a broken manifest changes nothing',
  needs: [],
  run: async (ctx) => {
    const sink = await startSink()
    ctx.cleanup(() => sink.close())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const save = (name: string, text: string): void => writeFileSync(join(manifests, name), text)
    save('secret.yaml', secret(old))
    const relay = await startStandalone({ folder: ctx.folder, manifests, listeners: ['mx', 'submissions'] })
    ctx.cleanup(() => relay.stop())

    ctx.step('a client that stays connected through all of it')
    const staying = await openSmtp(relay.ports.mx!)
    await secured(staying)
    assert.equal(staying.serverName(), 'old.relay.example')
    await mustTake(staying, 'one@browncow.example')

    ctx.step('the certificate changes: the next connection gets the new one, on both listeners')
    save('secret.yaml', secret(fresh))
    await until('the new certificate', async () => (await certificateNow(relay, 'mx')) === 'new.relay.example')
    assert.equal(await certificateNow(relay, 'submissions'), 'new.relay.example')
    await mustTake(staying, 'two@browncow.example')

    ctx.step('a domain is added: from now on it is taken, for who was connected too')
    assert.equal((await firstReply(staying, 'fred@added.example')).code, 550)
    await changed(relay, () => save('added.yaml', domain('added.example', sink.port))) // a session has 100 commands without a mail
    await until('the new domain', async () => (await firstReply(staying, 'fred@added.example')).code === 250)
    await mustTake(staying, 'three@added.example')

    ctx.step('paused: mail is still taken and waits; no longer paused, it goes')
    await until('what came before to be delivered', () => sink.recipients().length === 3)
    const relayFile = readFileSync(join(manifests, 'relay.yaml'), 'utf8')
    const isPaused = relayFile.replace('spec:\n', 'spec:\n  paused: true\n')
    assert.notEqual(isPaused, relayFile)
    await changed(relay, () => save('relay.yaml', isPaused))
    await mustTake(staying, 'four@browncow.example')
    await sleep(2_000)
    assert.deepEqual([sink.recipients().length, await queueLength(relay)], [3, 1])
    await changed(relay, () => save('relay.yaml', relayFile))
    await until('what waited to be delivered', () => sink.recipients().includes('four@browncow.example'))

    ctx.step('what is broken is told, and changes nothing')
    const revision = await revisionOf(relay)
    for (const [what, name, text, told] of broken(sink.port)) {
      await complaint(relay, what, told, () => save(name, text))
      assert.equal(await revisionOf(relay), revision, `${what}: another snapshot is in force`)
      assert.equal(await certificateNow(relay, 'mx'), 'new.relay.example', what)
      await mustTake(staying, `${what.replaceAll(' ', '-')}@added.example`)
      assert.equal((await firstReply(staying, 'fred@later.example')).code, 550, `${what}: half of the folder is in force`)
      await complaint(relay, `${what}, mended`, /manifests changed: revision/, () => (save('broken.yaml', ''), save('secret.yaml', secret(fresh))))
    }

    ctx.step('and the next sound change is followed again')
    await changed(relay, () => save('broken.yaml', domain('later.example', sink.port)))
    await until('the later domain', async () => (await firstReply(staying, 'fred@later.example')).code === 250)

    ctx.step('one process, one session, and every mail arrived')
    assert.equal(staying.serverName(), 'old.relay.example')
    assert.equal((await staying.say('QUIT')).code, 221)
    await until('all mail at the next host', () => sink.recipients().length === 4 + broken(0).length)
    assert.equal(relay.log().filter(({ code }) => code === 'START').length, 1)
    assert.deepEqual(sink.faults, [])
  },
}

/** What a person may save by mistake, and what he must be told. */
const broken = (port: number): readonly (readonly [what: string, file: string, text: string, told: RegExp])[] => [
  ['a misspelt field', 'broken.yaml', domain('later.example', port).replace('recipients:', 'recipient:'), /broken\.yaml.*recipient/],
  ['a good document before a broken one', 'broken.yaml', `${domain('later.example', port)}---\napiVersion: posthouse.dev/v1alpha1\nkind: MailDomian\nmetadata: {name: x, namespace: mail}\n`, /broken\.yaml.*MailDomian/],
  ['half a file', 'broken.yaml', `${domain('later.example', port)}---\nkind: {`, /broken\.yaml/],
  ['a key of another certificate', 'secret.yaml', secret({ certificate: fresh.certificate, key: old.key }), /mx-tls/],
  ['a certificate that is none', 'secret.yaml', secret({ certificate: 'none', key: fresh.key }), /mx-tls/],
  ['no certificate at all', 'secret.yaml', '', /mx-tls/],
]

const secret = ({ certificate, key }: TestCertificate): string =>
  `apiVersion: v1\nkind: Secret\nmetadata: {name: mx-tls, namespace: mail}\ntype: kubernetes.io/tls\nstringData: ${JSON.stringify({ 'tls.crt': certificate, 'tls.key': key })}\n`

const domain = (name: string, port: number): string =>
  `apiVersion: posthouse.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: ${name.split('.')[0]}, namespace: mail}\nspec:\n  domain: ${name}\n  inbound:\n    recipients: {mode: Any}\n    deliverTo: {hosts: [{host: 127.0.0.1, port: ${port}, tls: {mode: None}}]}\n`

const secured = async (client: SmtpClient): Promise<void> => {
  await client.say('EHLO client.example')
  await client.startTls()
  await client.say('EHLO client.example')
}

const certificateNow = async (relay: Standalone, listener: 'mx' | 'submissions'): Promise<string | undefined> => {
  const client = await openSmtp(relay.ports[listener]!, { tls: listener === 'submissions' })
  if (listener === 'mx') await secured(client)
  const name = client.serverName() // gone once it is closed
  client.close()
  return name
}

const firstReply = async (client: SmtpClient, to: string) => {
  await client.say('MAIL FROM:<joe@elsewhere.example>')
  const reply = await client.say(`RCPT TO:<${to}>`)
  await client.say('RSET')
  return reply
}

const mustTake = async (client: SmtpClient, to: string): Promise<void> => {
  const { data } = await sendMail(client, { from: 'joe@elsewhere.example', to: [to], data: 'Subject: x\r\n\r\nx\r\n' })
  assert.equal(data?.code, 250, `${to}: ${data?.text}`)
}

const revisionOf = async (relay: Standalone): Promise<string> => (await relay.ask<{ revision: string }>('status')).revision

/** Does something, and waits until the relay runs another snapshot. */
const changed = async (relay: Standalone, act: () => void): Promise<void> => {
  const before = await revisionOf(relay)
  act()
  await until('another snapshot in force', async () => (await revisionOf(relay)) !== before)
}

/** Does something, and waits until the standalone says these words about it. */
const complaint = async (relay: Standalone, what: string, words: RegExp, act: () => void): Promise<void> => {
  const before = relay.child.output().length
  act()
  await until(`what the standalone says to ${what}`, () => words.test(relay.child.output().slice(before)))
}
