// The pages in docs/tasks: their programs, run as they stand there (each sends a mail with a token that the relay's receiving side checks), and their manifests.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { canSend } from '../cli/can-send.ts'
import { compile } from '../cli/compile-manifests.ts'
import { certificateFor, newAuthority } from '../operator/index.ts'
import { tokenFaults, type Client } from '../relay/decide/index.ts'
import { splitMailbox } from '../relay/snapshot/index.ts'
import { runChild } from './tools/child.ts'
import { startTestReceiver, testSnapshot } from './tools/receive.ts'
import { newIssuer } from './tools/tokens.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/tasks/send-with-a-service-account.md'), 'utf8')
const program = (language: string): string => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)![1]!

const languages: readonly (readonly [language: string, file: string, command: string])[] = [['js', 'program.mjs', process.execPath], ['python', 'program.py', 'python3']]
for (const [language, file, command] of languages)
  test(`the 1 program in ${language} sends with a token`, { skip: spawnSync(command, ['--version']).status !== 0 && `${command} is not on PATH` }, async (t) => {
    const authority = newAuthority(new Date())
    const issuer = await newIssuer()
    const receiver = await startTestReceiver(testSnapshot((input) => {
      input.certificates = [{ name: 'main', ...certificateFor(['localhost', '127.0.0.1'], authority, new Date()) }]
      const { auth: _, ...sender } = input.senders![0]!
      input.senders = [{ ...sender, serviceAccount: 'shop', from: ['orders@browncow.example'] }]
      input.relay.tokens = issuer.tokens()
      for (const listener of input.listeners) if (listener.protocol === 'Submission') listener.auth = ['PLAIN', 'LOGIN', 'XOAUTH2', 'OAUTHBEARER']
    }))
    t.after(() => receiver.stop())
    // below the folder where node finds nodemailer
    const folder = mkdtempSync(join(root, 'node_modules/.posthouse-task-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const smtp = join(folder, 'smtp')
    mkdirSync(smtp)
    const files = { host: 'localhost', port: String(receiver.port('submission')), 'ca.crt': authority.certificate, token: await issuer.token() }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(smtp, name), `${text}\n`)
    writeFileSync(join(folder, file), program(language).replaceAll('/var/run/smtp', smtp))
    await runChild(command, [join(folder, file)], { forMs: 60_000 })
    assert.deepEqual(receiver.queue.kept.map(({ message }) => [message.envelope.sender, message.envelope.mailFrom]), [['shop/shop', { local: 'orders', domain: 'browncow.example' }]])
    assert.match(receiver.queue.kept[0]!.text, /It is on its way\./)
  })

const manifestsOf = (name: string): string => [...readFileSync(join(root, 'docs/tasks', name), 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text).join('\n---\n')
const checked = async (t: TestContext, files: Readonly<Record<string, string>>) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-task-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
  const { problems, snapshots } = await compile({ manifests: folder, now: new Date() })
  assert.deepEqual(problems.filter(({ level }) => level === 'error'), [])
  return snapshots.get('mail/main')!
}

test('the page of smarthosts fits the cluster of the examples: 2 routes, the one that names the shop with a login of its own', async (t) => {
  const examples = ['1-platform.yaml', '2-domain.yaml', '3-shop.yaml'].map((file) => [file, readFileSync(join(root, 'examples/cluster', file), 'utf8')] as const)
  const { routes } = await checked(t, { ...Object.fromEntries(examples), 'page.yaml': manifestsOf('send-through-a-smarthost.md') })
  const hops = routes.map(({ manifest, nextHops }) => [manifest, nextHops.map((hop) => (hop.kind === 'smarthost' ? [hop.host, hop.credentials?.username] : []))])
  assert.deepEqual(Object.fromEntries(hops), {
    'DeliveryRoute mail/outbound': [['smtp.first.example', 'browncow'], ['smtp.second.example', 'browncow@second.example']],
    'DeliveryRoute mail/outbound-shop': [['smtp.first.example', 'browncow-shop'], ['smtp.second.example', 'browncow@second.example']],
  })
})

test('the page for who had another relay has manifests without a mistake: 2 listeners, 3 domains', async (t) => {
  const { listeners, domains } = await checked(t, { 'page.yaml': manifestsOf('come-from-another-relay.md') })
  assert.deepEqual([listeners.map(({ name }) => name), domains.map(({ domain }) => domain).sort()], [['mx', 'submission'], ['browncow.example', 'news.browncow.example', 'other.example']])
})

test('the page of typical needs has manifests without a mistake, and they do what it says: 6 needs', async (t) => {
  const snapshot = await checked(t, { 'page.yaml': manifestsOf('typical-needs.md') })
  const verdict = (listener: string, client: Partial<Client>, from: string, to: string): string =>
    canSend(snapshot, { listener: snapshot.listeners.find(({ name }) => name === listener)!, client: { address: '192.0.2.1', helo: 'client.example', tls: false, ...client }, mailFrom: splitMailbox(from)!, rcptTo: [splitMailbox(to)!] })[0]!.verdict
  const team = { sender: 'team/app', tls: true }
  const asked: readonly (readonly [string, Partial<Client>, string, string])[] = [
    ['mx', {}, 'joe@far.example', 'whoever@browncow.example'],
    ['submission', team, 'anything@team.example', 'ann@far.example'],
    ['submission', team, 'boss@browncow.example', 'ann@far.example'],
    ['mx', { address: '10.20.30.7' }, 'scan@browncow.example', 'ann@far.example'],
    ['mx', { address: '10.20.30.7' }, 'scan@far.example', 'ann@far.example'],
    ['mx', { address: '10.20.31.7' }, 'scan@browncow.example', 'ann@far.example'],
  ]
  assert.deepEqual(asked.map((one) => verdict(...one)), ['yes', 'yes', 'no', 'yes', 'no', 'no'])
  const routes = Object.fromEntries(snapshot.routes.map(({ manifest, nextHops, limits }) => [manifest, [nextHops.map(({ kind, tls }) => `${kind} ${tls.mode}`), limits.ratePerMinute]]))
  assert.deepEqual(routes, { 'DeliveryRoute mail/partner': [['mx Verify'], undefined], 'DeliveryRoute mail/newsletter': [['mx Opportunistic'], 60] })
  assert.deepEqual(Object.fromEntries(snapshot.senders.map(({ name, priority }) => [name, priority])), { app: 'Transactional', newsletter: 'Bulk' })
  assert.deepEqual(snapshot.domains.find(({ domain }) => domain === 'other.example')!.dkim.map(({ algorithm }) => algorithm), ['rsa'])
})

test('the page says what to do for each of the 9 faults a token can have', () => {
  const faults = Object.values(tokenFaults)
  assert.equal(faults.length, 9)
  for (const fault of faults) assert.ok(page.includes(`| ${fault.replace(/\{\w+\}/g, '…')} |`), fault)
})

test('the manifests of the page are those of 1 ServiceAccount: account, MailSender, pod and audience fit', () => {
  const [account, sender, pod] = [...page.matchAll(/```yaml\n(.*?)```/gs)].flatMap(([, text]) => parseAllDocuments(text!).map((document) => document.toJS() as { metadata: { name: string; namespace: string }; spec: Record<string, never> }))
  const { relayRef, identity } = sender!.spec as unknown as { relayRef: { name: string; namespace: string }; identity: { serviceAccountName: string } }
  const { serviceAccountName, volumes } = pod!.spec as unknown as { serviceAccountName: string; volumes: { projected: { sources: { secret?: { name: string }; serviceAccountToken?: { audience: string } }[] } }[] }
  const [secret, token] = volumes[0]!.projected.sources
  assert.deepEqual([identity.serviceAccountName, serviceAccountName, secret!.secret!.name, token!.serviceAccountToken!.audience], [account!.metadata.name, account!.metadata.name, `${sender!.metadata.name}-smtp`, `posthouse.dev/${relayRef.namespace}/${relayRef.name}`])
})
