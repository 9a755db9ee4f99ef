import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { builtIn } from '../operator/index.ts'
import { writeSnapshot } from '../relay/snapshot/index.ts'
import { compile } from './compile-manifests.ts'
import { inWords } from './schedule.ts'

const root = join(import.meta.dirname, '..')

type Said = { readonly code: number; readonly out: string; readonly err: string }
const posthouse = (...args: readonly string[]): Promise<Said> => posthouseGiven('', ...args)
const posthouseGiven = (input: string, ...args: readonly string[]): Promise<Said> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [join(root, 'bin/posthouse.mjs'), ...args], { cwd: root, timeout: 60_000 }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err }))
    child.stdin?.end(input)
  })

const folder = (t: TestContext, files: Record<string, string> = {}): string => {
  const path = mkdtempSync(join(tmpdir(), 'posthouse-cli-'))
  t.after(() => rmSync(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

for (const example of ['quickstart', 'cluster']) {
  test(`examples/${example} passes posthouse check with exit code 0 and without colour in a pipe`, async () => {
    const { code, out } = await posthouse('check', '-f', join('examples', example))
    assert.deepEqual([code, out.trim().split('\n').at(-1)], [0, 'no mistakes'])
    assert.ok(!out.includes('\u001b'))
  })
}

test('a sender with a ServiceAccount is 0 mistakes for check, 1 warning where there is no cluster to run in, and nobody in its snapshot', async (t) => {
  const path = folder(t, { 'all.yaml': ['MailRelay|main|{hostname: mx.example}', 'MailDomain|ours|{domain: ours.example}', 'MailSender|app|{relayRef: {name: main}, identity: {serviceAccountName: app}}'].map((one) => one.split('|')).map(([kind, name, spec]) => `apiVersion: posthouse.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: mail}\nspec: ${spec}\n`).join('---\n') })
  assert.deepEqual((await compile({ manifests: path, now: new Date() })).problems, [])
  const { problems, snapshots } = await compile({ manifests: path, made: join(folder(t), 'made'), now: new Date() })
  assert.deepEqual(problems.map(({ level, reason, line, object }) => [level, reason, line, object]), [['warning', 'KeysUnknown', 14, 'MailSender mail/app']])
  assert.match(problems[0]!.message, /here is none: the sender cannot identify itself; use identity: \{generated: \{\}\} without a cluster$/)
  const { relay, senders, listeners } = snapshots.get('mail/main')!
  assert.deepEqual([relay.tokens, senders[0]!.auth, listeners[1]!.auth], [undefined, undefined, ['PLAIN', 'LOGIN']])
})

const manifest = (kind: string, name: string, spec: string): string => `apiVersion: posthouse.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: mail}\nspec: ${spec}\n`
const namesSecrets = [
  manifest('MailRelay', 'main', '{hostname: mx.example, listeners: [{name: mx, protocol: SMTP, port: 25, tls: {secretRef: {name: mx-tls}}}], queue: {external: {servers: ["tls://nats.example:4222"], credentialsSecretRef: {name: nats-login}, tlsSecretRef: {name: nats-tls}}}}'),
  manifest('MailDomain', 'ours', '{domain: ours.example, outbound: {dkim: {keySecretRef: {name: ours-keys}}}}'),
  manifest('DeliveryRoute', 'out', '{nextHops: [{smarthost: {host: smtp.example, credentialsSecretRef: {name: login}}, tls: {mode: Verify, clientCertificateSecretRef: {name: mx-tls}}}]}'),
].join('---\n')

test('5 Secrets that come from elsewhere, as a vault or cert-manager make them, are 5 warnings for check and can-send, and mistakes where the folder is run', async (t) => {
  const path = folder(t, { 'all.yaml': namesSecrets })
  const { problems, snapshots } = await compile({ manifests: path, now: new Date() })
  assert.deepEqual(problems.map(({ level, code, path: at, message }) => [level, code, at, message.split(':')[0]]), [
    ['spec.listeners[0].tls.secretRef.name', 'mx-tls'],
    ['spec.queue.external.credentialsSecretRef.name', 'nats-login'],
    ['spec.queue.external.tlsSecretRef.name', 'nats-tls'],
    ['spec.outbound.dkim.keySecretRef.name', 'ours-keys'],
    ['spec.nextHops[0].smarthost.credentialsSecretRef.name', 'login'],
  ].map(([at, name]) => ['warning', 'NOTED', at, `Secret mail/${name} is not among the manifests`]))
  const { listeners, domains, routes } = snapshots.get('mail/main')!
  assert.deepEqual([listeners.length, domains.length, routes.length], [1, 1, 1])
  assert.equal((await posthouse('check', '-f', path)).code, 0)
  assert.equal((await posthouse('can-send', '-f', path, '--as', 'stranger', '--from', 'joe@far.example', '--to', 'fred@other.example')).code, 1)
  const run = await compile({ manifests: path, made: join(folder(t), 'made'), now: new Date() })
  assert.ok(run.problems.filter(({ level }) => level === 'error').length >= 3)
})

test('1 Secret from elsewhere that 2 manifests name, for a CA and for DKIM keys, is 1 warning and 0 mistakes, whichever comes first', async (t) => {
  const relay = manifest('MailRelay', 'main', '{hostname: mx.example}')
  const named = ['{hosts: [{host: store.example, tls: {mode: Verify, caSecretRef: {name: both}}}]}', '{hosts: [{host: store.example}]}'].map((deliverTo, index) =>
    manifest('MailDomain', `d${index}`, `{domain: d${index}.example, inbound: {recipients: {mode: Any}, deliverTo: ${deliverTo}}${index === 1 ? ', outbound: {dkim: {keySecretRef: {name: both}}}' : ''}}`))
  for (const inOneOrder of [named, named.toReversed()]) {
    const { problems } = await compile({ manifests: folder(t, { 'all.yaml': [relay, ...inOneOrder].join('---\n') }), now: new Date() })
    assert.deepEqual(problems.map(({ level, message }) => [level, message.split(':')[0]]), [['warning', 'Secret mail/both is not among the manifests']])
  }
})

test('a slip in the name of a Secret that is there stays 1 mistake, and so does a Secret that lacks a key', async (t) => {
  const secret = (name: string, data: string): string => `---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${name}, namespace: mail}\nstringData: ${data}\n`
  const relay = manifest('MailRelay', 'main', '{hostname: mx.example}')
  const route = (name: string): string => `---\n${manifest('DeliveryRoute', name, `{nextHops: [{smarthost: {host: smtp.example, credentialsSecretRef: {name: ${name}}}, tls: {mode: Verify}}]}`)}`
  const told = async (text: string) => (await compile({ manifests: folder(t, { 'all.yaml': relay + text }), now: new Date() })).problems.map(({ level, message }) => [level, message])
  assert.deepEqual(await told(route('logn') + secret('login', '{username: a, password: b}')), [['error', 'Secret mail/logn does not exist; did you mean login?']])
  assert.deepEqual(await told(route('login') + secret('login', '{user: a, password: b}')), [['error', 'Secret mail/login lacks username']])
  // the other is named by a manifest of its own
  assert.deepEqual((await told(route('login-1') + route('login-2') + secret('login-2', '{username: a, password: b}'))).map(([level]) => level), ['warning'])
})

test('check makes nothing: no file appears anywhere beside the manifests', async (t) => {
  const path = folder(t, { 'relay.yaml': 'apiVersion: posthouse.dev/v1alpha1\nkind: MailRelay\nmetadata: {name: main, namespace: mail}\nspec: {hostname: mx.example}\n' })
  const before = existsSync(join(root, '.posthouse'))
  assert.equal((await posthouse('check', '-f', path)).code, 0)
  assert.deepEqual([readdirSync(path), existsSync(join(root, '.posthouse'))], [['relay.yaml'], before])
})

test('check ends with 1 and names file, line, document, object, path and the nearest word', async (t) => {
  const path = folder(t, { 'relay.yaml': 'apiVersion: posthouse.dev/v1alpha1\nkind: MailRelay\nmetadata: {name: main, namespace: mail}\nspec:\n  hostname: mx.example\n  retryScheduleNme: slow\n' })
  const { code, out } = await posthouse('check', '-f', path)
  assert.equal(code, 1)
  assert.equal(out, `${path}/relay.yaml:6: error: document 1, MailRelay mail/main, spec.retryScheduleNme: unknown field; did you mean retryScheduleName?\n1 mistake\n`)
})

test('check -f - takes 2 parts as helm template prints them, and counts lines in each file of its own', async () => {
  const [relay, domain] = ['kind: MailRelay\nmetadata: {name: main, namespace: mail}\nspec: {hostname: mx.example}\n', 'kind: MailDomain\nmetadata: {name: a, namespace: mail}\nspec:\n  domain: a.example\n  inbund: {}\n'].map((text) => `apiVersion: posthouse.dev/v1alpha1\n${text}`)
  const { code, out } = await posthouseGiven(`---\n# Source: chart/templates/relay.yaml\n${relay}---\n# Source: chart/templates/domain.yaml\n${domain}`, 'check', '-f', '-')
  assert.deepEqual([code, out], [1, 'chart/templates/domain.yaml:6: error: document 1, MailDomain mail/a, spec.inbund: unknown field; did you mean inbound?\nMailRelay mail/main: 2 listeners, 0 domains, 0 senders, 0 policies, 0 routes\n1 mistake\n'])
  assert.deepEqual([(await posthouseGiven(relay!, 'check', '-f', '-')).code, (await posthouseGiven('\n', 'check', '-f', '-')).code], [0, 2])
})

test('one slip in a MailRelay is 1 mistake, not one more for everything that attaches to it', async (t) => {
  const texts = readdirSync(join(root, 'examples/quickstart')).map((name) => [name, readFileSync(join(root, 'examples/quickstart', name), 'utf8').replace('  hostname:', '  hostnme: x\n  hostname:')])
  const { problems } = await compile({ manifests: folder(t, Object.fromEntries(texts) as Record<string, string>), now: new Date() })
  assert.deepEqual(problems.map(({ code, path }) => [code, path]), [['UNKNOWN_FIELD', 'spec.hostnme']])
})

test('a MailRelay without its RetrySchedule is 1 mistake, and so is a MailDomain that is wrong for its sender', async (t) => {
  const quickstart = (from: string, to: string) => Object.fromEntries(readdirSync(join(root, 'examples/quickstart')).map((name) => [name, readFileSync(join(root, 'examples/quickstart', name), 'utf8').replace(from, to)]))
  const told = async (files: Record<string, string>) => (await compile({ manifests: folder(t, files), now: new Date() })).problems.map(({ code, reason, path }) => [code, reason, path])
  assert.deepEqual(await told(quickstart('retryScheduleName: quick', 'retryScheduleName: quik')), [['REFUSED', 'RetryScheduleNotFound', 'spec.retryScheduleName']])
  assert.deepEqual(await told(quickstart('mode: Any', 'mode: All')), [['WRONG_VALUE', undefined, 'spec.inbound.recipients.mode']])
})

test('check --json says the same for machines, with the reason of what does not fit', async (t) => {
  const path = folder(t, { 'a.yaml': 'apiVersion: posthouse.dev/v1alpha1\nkind: MailRelay\nmetadata: {name: main, namespace: mail}\nspec:\n  hostname: mx.example\n  retryScheduleName: gone\n  queue: {external: {servers: ["nats://n:4222"]}}\n' })
  const { code, out } = await posthouse('check', '-f', path, '--json')
  const { ok, problems, relays } = JSON.parse(out) as { ok: boolean; problems: { level: string; code: string; reason?: string; line: number; path: string }[]; relays: unknown[] }
  assert.deepEqual([code, ok, relays], [1, false, []])
  assert.deepEqual(problems.map(({ level, code, reason, line, path }) => [level, code, reason, line, path]), [['error', 'REFUSED', 'RetryScheduleNotFound', 6, 'spec.retryScheduleName']])
  const { problems: ofARun } = await compile({ manifests: path, made: join(folder(t), 'made'), now: new Date() })
  assert.deepEqual(ofARun.map(({ level, code, path: at }) => [level, code, at]), [['error', 'REFUSED', 'spec.retryScheduleName'], ['warning', 'NOTED', 'spec.queue.external']]) // only there a nats-server of its own is run
})

test('check warns of 1 folder with manifests inside the folder, which it does not read, and not of 1 without', async (t) => {
  const path = folder(t, { 'relay.yaml': manifest('MailRelay', 'main', '{hostname: mx.example}') })
  for (const [inside, file] of [['apps', 'wrong.yaml'], ['notes', 'readme.txt']] as const) {
    mkdirSync(join(path, inside))
    writeFileSync(join(path, inside, file), 'nonsense: [')
  }
  const { code, out } = await posthouse('check', '-f', path)
  assert.deepEqual([code, out], [0, `${path}/apps: warning: not read: only the files of a folder itself are; check -f ${path}/apps reads it\nMailRelay mail/main: 2 listeners, 0 domains, 0 senders, 0 policies, 0 routes\nno mistakes, 1 warning\n`])
})

test('check ends with 2 where there is nothing to read', async (t) => {
  assert.equal((await posthouse('check', '-f', join(folder(t), 'gone'))).code, 2)
  assert.equal((await posthouse('check', '-f', folder(t))).code, 2)
})

test('without a cluster the queue has 1 server, whatever the manifest asks a cluster for', async () => {
  const { snapshots } = await compile({ manifests: join(root, 'examples/cluster'), now: new Date() })
  assert.equal(snapshots.get('mail/main')!.relay.queueReplicas, 1)
})

test('the quickstart compiled with made things needs nothing more: TLS on 2 listeners, 1 credential, 2 DKIM keys', async (t) => {
  const { snapshots, problems } = await compile({ manifests: join(root, 'examples/quickstart'), made: folder(t), now: new Date() })
  const snapshot = snapshots.get('mail/main')!
  assert.deepEqual(problems, [])
  assert.deepEqual(snapshot.listeners.map(({ tls }) => tls?.certificate), ['self-signed', 'self-signed'])
  assert.deepEqual(snapshot.senders.map(({ auth }) => auth?.username), ['mail.demo'])
  assert.deepEqual(snapshot.domains.map(({ dkim }) => dkim.map(({ algorithm }) => algorithm)), [['ed25519', 'rsa']])
})

test('nothing of the quickstart leaves the machine: every next hop is 127.0.0.1, and one of them takes every domain', async () => {
  const { routes, domains } = (await compile({ manifests: join(root, 'examples/quickstart'), now: new Date() })).snapshots.get('mail/main')!
  const hosts = [...routes.flatMap(({ nextHops }) => nextHops.map((hop) => (hop.kind === 'smarthost' ? hop.host : hop.kind))), ...domains.flatMap(({ inbound }) => inbound!.hosts!.map(({ host }) => host))]
  assert.deepEqual([new Set(hosts), routes.map(({ match }) => match.recipientDomains)], [new Set(['127.0.0.1']), [['*']]])
})

test('can-send: a stranger gets 550 5.7.1 for a foreign recipient and exit code 1, and 0 for a hosted one', async () => {
  const stranger = ['can-send', '-f', 'examples/quickstart', '--as', 'stranger', '--from', 'joe@somespammer.com']
  const [denied, passed] = await Promise.all([posthouse(...stranger, '--to', 'fred@spam-recipient.com'), posthouse(...stranger, '--to', 'hello@sink.example')])
  assert.deepEqual([denied.code, passed.code], [1, 0])
  assert.match(denied.out, /^fred@spam-recipient\.com: no: 550 5\.7\.1 Relaying denied.*\(listener mx\)$/m)
  assert.match(passed.out, /^hello@sink\.example: yes \(rule hosted-domain of MailDomain mail\/sink, listener mx\)$/m)
})

test('check -f with 0 characters says what is missing, and so does can-send', async () => {
  for (const words of [['check'], ['can-send', '--as', 'stranger', '--from', 'a@b.c', '--to', 'd@e.f']]) {
    const { code, err } = await posthouse(...words, '-f', '')
    assert.deepEqual([code, err], [2, '-f is empty: it takes the name of a folder or a file\n'])
  }
})

test('can-send --snapshot asks what a relay runs: the same 2 answers as from its manifests; without either it ends with 2', async (t) => {
  const { snapshots } = await compile({ manifests: join(root, 'examples/quickstart'), now: new Date() })
  const running = folder(t)
  writeSnapshot(running, [...snapshots.values()][0]!)
  for (const to of ['fred@spam-recipient.com', 'hello@sink.example']) {
    const about = ['--as', 'stranger', '--from', 'joe@somespammer.com', '--to', to]
    const [live, declared] = [await posthouse('can-send', '--snapshot', running, ...about), await posthouse('can-send', '-f', 'examples/quickstart', ...about)]
    assert.deepEqual(live, declared)
    assert.equal((await posthouse('can-send', ...about)).code, 2)
  }
})

test('can-send: a MailSender may use its own address and no other, and the answer names rule and manifest', async () => {
  const sender = ['can-send', '-f', 'examples/quickstart', '--as', 'mail/demo', '--to', 'ann@far.example', '--json', '--from']
  const [own, other] = await Promise.all([posthouse(...sender, 'news@sink.example'), posthouse(...sender, 'boss@bank.example')])
  assert.deepEqual([JSON.parse(own.out), own.code], [[{ to: 'ann@far.example', listener: 'submission', because: { rule: 'identified-sender', manifest: 'MailSender mail/demo' }, warnings: [], verdict: 'yes' }], 0])
  const [answer] = JSON.parse(other.out) as { verdict: string; reply: string; because: object }[]
  assert.deepEqual([other.code, answer!.verdict, answer!.because], [1, 'no', { rule: 'from', manifest: 'MailSender mail/demo' }])
  assert.match(answer!.reply, /^550 5\.7\.1 .*boss@bank\.example/)
})

test('can-send: mail that 1 DeliveryRoute would hold is said to be held, and by which', async (t) => {
  const route = 'apiVersion: posthouse.dev/v1alpha1\nkind: DeliveryRoute\nmetadata: {name: wait, namespace: mail}\nspec: {match: {recipientDomains: [far.example]}, hold: true}\n'
  const files = Object.fromEntries(['relay.yaml', 'sender.yaml', 'sink.yaml'].map((name) => [name, readFileSync(join(root, 'examples/quickstart', name), 'utf8')]))
  const asked = ['can-send', '-f', folder(t, { ...files, 'wait.yaml': route }), '--as', 'mail/demo', '--from', 'news@sink.example', '--to', 'ann@far.example', 'bob@near.example']
  const { out, code } = await posthouse(...asked)
  assert.deepEqual([code, out.split('\n')], [0, [
    'ann@far.example: yes, but held until a person decides (DeliveryRoute mail/wait holds mail on its way) (rule identified-sender of MailSender mail/demo, listener submission)',
    'bob@near.example: yes (rule identified-sender of MailSender mail/demo, listener submission)', '',
  ]])
})

test('can-send: a forged local sender is refused by the rule of the house, a held mail says so', async (t) => {
  const hold = 'apiVersion: posthouse.dev/v1alpha1\nkind: MailRelay\nmetadata: {name: main}\nspec: {hostname: mx.example}\n---\napiVersion: posthouse.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: a}\nspec: {domain: a.example, inbound: {deliverTo: {mx: {}}}}\n---\napiVersion: posthouse.dev/v1alpha1\nkind: RelayPolicy\nmetadata: {name: p}\nspec: {targetRefs: [{kind: MailDomain, name: a}], rules: [{name: legal, match: {rcptTo: ["*@a.example"]}, action: Hold}]}\n'
  const forged = await posthouse('can-send', '-f', 'examples/quickstart', '--as', '203.0.113.9', '--from', 'boss@sink.example', '--to', 'hello@sink.example')
  assert.match(forged.out, /550 5\.7\.1 mail from sink\.example comes from its own senders \(RelayPolicy mail\/house-rules, rule no-spoofing\)/)
  const held = await posthouse('can-send', '-f', folder(t, { 'a.yaml': hold }), '--as', 'stranger', '--from', '<>', '--to', 'x@a.example')
  assert.deepEqual([held.code, /held until a person decides \(rule legal of RelayPolicy default\/p/.test(held.out)], [0, true])
})

test('can-send ends with 2 and names what there is where the sender is unknown', async () => {
  const { code, err } = await posthouse('can-send', '-f', 'examples/quickstart', '--as', 'mail/dmeo', '--from', 'a@b.c', '--to', 'd@e.f')
  assert.deepEqual([code, /it has mail\/demo/.test(err)], [2, true])
})

test('schedule prints 12 attempts, the notice after 10 minutes and the end of the quickstart’s schedule', async () => {
  const { code, out } = await posthouse('schedule', 'quick', '-f', 'examples/quickstart')
  const lines = out.trim().split('\n')
  assert.deepEqual([code, lines.filter((line) => /^ ?\d+\. /.test(line)).length], [0, 12])
  assert.deepEqual([lines[2], lines[6]], [' 2. 5s later, 5s after arrival', ' 6. 5m later, 6m50s after arrival'])
  assert.match(out, /11m50s: the sender is told that the message is late/)
})

test('schedule --json has the same 12 attempts and the notice, in seconds from arrival', async () => {
  const { code, out } = await posthouse('schedule', 'quick', '-f', 'examples/quickstart', '--json')
  const { schedule, courses } = JSON.parse(out) as { schedule: string; courses: { when?: string; steps: { kind: string; attempt?: number; at: number; waited?: number }[] }[] }
  assert.deepEqual([code, schedule], [0, 'RetrySchedule quick'])
  const [usual] = courses
  assert.equal(usual!.when, undefined)
  assert.equal(usual!.steps.filter(({ kind }) => kind === 'attempt').length, 12)
  assert.deepEqual(usual!.steps.find(({ attempt }) => attempt === 6), { kind: 'attempt', attempt: 6, at: 410, waited: 300 })
  assert.deepEqual(usual!.steps.find(({ kind }) => kind === 'delay-notice'), { kind: 'delay-notice', at: 710 })
})

test('in words the built-in schedule gives up at 5d exactly, told to the end', () => {
  const lines = inWords(builtIn, 100)
  assert.deepEqual(lines.slice(-2).map((line) => line.trim().replace(/^\d+\. /, '')), ['8m later, 5d after arrival', '5d: given up; the sender is told that it could not be delivered'])
})

test('schedule names those there are where there is none of that name', async () => {
  const { code, err } = await posthouse('schedule', 'slow', '-f', 'examples/quickstart')
  assert.deepEqual([code, /no RetrySchedule slow in examples\/quickstart; it has quick/.test(err)], [2, true])
})
