// Manifests that are wrong, alone or together: what runs goes on as it was, and conditions say what is wrong, on both sides.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { enforced } from '../tools/kubectl.ts'
import { install, operatorNamespace } from '../tools/posthouse.ts'
import { joinCluster } from '../tools/shared.ts'
import { SmallRelay } from '../tools/small-relay.ts'

const namespace = 'c-07'
const taken = /250 2\.0\.0 /
const refused = /550 5\.7\.1 .*[Rr]elaying denied/

type Wrong = { readonly kind: string; readonly name: string; readonly spec: object; readonly reason: string; readonly words: RegExp; readonly other?: string }

/** 60 public ranges, each as wide as one may be. */
const blocks = (from: number): object => ({ name: `from-${from}`, match: { sources: Array.from({ length: 60 }, (_, n) => `${11 + Math.floor((from + n) / 256)}.7.${(from + n) % 256}.0/24`) }, action: 'Allow' })

const wrong: readonly Wrong[] = [
  { kind: 'MailDomain', name: 'thief', spec: { domain: 'hosted.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { mx: {} } } }, reason: 'DomainConflict', words: /MailDomain c-07\/hosted holds hosted\.example/, other: 'MailDomain hosted' },
  { kind: 'MailSender', name: 'stray', spec: { relayRef: { name: 'mian' } }, reason: 'RelayNotFound', words: /MailRelay c-07\/mian does not exist; did you mean main\?/ },
  { kind: 'MailSender', name: 'forger', spec: { relayRef: { name: 'main' }, from: ['boss@elsewhere.example'] }, reason: 'FromNotAllowed', words: /boss@elsewhere\.example: no MailDomain for elsewhere\.example/, other: 'MailRelay main' },
  { kind: 'MailSender', name: 'borrower', spec: { relayRef: { name: 'main' }, from: ['boss@lent.example'] }, reason: 'FromNotAllowed', words: /MailDomain c-07\/lent lends only orders@lent\.example/, other: 'MailDomain lent' },
  { kind: 'RelayPolicy', name: 'half-the-world', spec: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [blocks(0), blocks(60), blocks(120), blocks(180), blocks(240)] }, reason: 'SourcesMakeTheWorld', words: /more public addresses than an IPv4 \/16/ },
  { kind: 'RelayPolicy', name: 'for-nothing', spec: { targetRefs: [{ kind: 'MailRelay', name: 'main', sectionName: 'smtp' }], rules: [{ name: 'no', match: {}, action: 'Deny' }] }, reason: 'TargetNotFound', words: /has no listener smtp, only mx, submission/ },
  { kind: 'DeliveryRoute', name: 'dangling', spec: { match: { recipientDomains: ['far.example'] }, nextHops: [{ smarthost: { host: 'smtp.far.example', credentialsSecretRef: { name: 'gone' } }, tls: { mode: 'Verify' } }] }, reason: 'CredentialsNotFound', words: /Secret c-07\/gone does not exist/ },
]

const house = (...more: readonly object[]): object => ({ targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'house', match: { rcptTo: ['banned@hosted.example'] }, action: 'Deny' }, ...more] })

export const story: Story = {
  title: `${wrong.length} manifests that are wrong or claim what another has, 2 that no API server takes, 2 in force that a change breaks, and a MailRelay made wrong: what runs stays, and conditions tell`,
  needs: ['cluster'],
  limitSeconds: 800,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx)
    const relay = new SmallRelay(cluster, namespace)
    await relay.make(ctx)
    await relay.apply('MailDomain', 'lent', { domain: 'lent.example', allowedSenders: { from: ['orders@lent.example'] } })
    await relay.apply('RelayPolicy', 'house', house())
    for (const [kind, name] of [['maildomain', 'lent'], ['relaypolicy', 'house']] as const) await relay.becomes('Accepted', 'Accepted', { kind, name })
    await kubectl('wait', '-n', namespace, enforced, 'relaypolicy/house', '--timeout=120s')
    await relay.becomes('Ready', 'Ready')
    const pods = () => kubectl('get', 'pods', '-n', namespace, '-o', 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}')
    const goesOn = async (): Promise<void> => {
      assert.match(await relay.fromPod('fred@hosted.example'), taken)
      assert.match(await relay.fromPod(), refused)
      assert.match(await relay.fromPod('banned@hosted.example'), /550 5\.7\.1 .*house/)
    }
    const before = await pods()
    const { revision } = await relay.status()
    await goesOn()

    ctx.step('what one object shows is refused at the door, in words')
    const door = await kubectl.may('patch', 'mailrelay', 'main', '-n', namespace, '--type=json', '-p', JSON.stringify([{ op: 'add', path: '/spec/listeners/-', value: { name: 'again', protocol: 'SMTP', port: 25 } }]))
    assert.notEqual(door.code, 0)
    assert.match(door.output, /two listeners have the same port/)
    await assert.rejects(relay.allow('0.0.0.0/1', '128.0.0.0/1'), /wider ranges are trusted by nobody/)

    ctx.step(`${wrong.length} that only the others show`)
    const began = Date.now()
    for (const { kind, name, spec } of wrong) await relay.apply(kind, name, spec)
    for (const { kind, name, reason, words } of wrong) {
      const told = await relay.becomes('Accepted', reason, { kind: kind.toLowerCase(), name })
      assert.equal(told.status, 'False')
      assert.match(told.message, words)
    }
    ctx.note('seconds until all were told', ((Date.now() - began) / 1000).toFixed(1))
    await until('Events on both sides', async () => {
      const events = await relay.events()
      return wrong.every(({ kind, name, reason, other }) => events.includes(`${reason} ${kind} ${name}`) && (other === undefined || events.includes(`${reason} ${other}`)))
    })
    assert.equal((await relay.status()).revision, revision, 'none of them is in the snapshot')
    await goesOn()

    ctx.step('a MailDomain and a RelayPolicy in force are changed into what does not fit: both stay as they were')
    await relay.apply('MailDomain', 'hosted', { ...relay.hosted, outbound: { dkim: { keySecretRef: { name: 'gone' } } } })
    await relay.apply('RelayPolicy', 'house', house({ name: 'later', match: {}, action: 'Redirect' }))
    for (const [kind, name, reason] of [['maildomain', 'hosted', 'KeyNotFound'], ['relaypolicy', 'house', 'NotImplemented']] as const) assert.match((await relay.becomes('Accepted', reason, { kind, name })).message, /; it stays in force as it was$/)
    assert.equal((await relay.status()).revision, revision)
    await goesOn()
    await kubectl('delete', 'pods', '-n', operatorNamespace, '-l', 'app.kubernetes.io/component=operator', '--wait=false')
    await relay.apply('MailDomain', 'more', { domain: 'more.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { mx: {} } } })
    await relay.becomes('Accepted', 'Accepted', { kind: 'maildomain', name: 'more' })
    await kubectl('delete', 'maildomain', 'more', '-n', namespace)
    await until('the revision of before', async () => (await relay.status()).revision === revision, 120_000)
    await goesOn()
    await relay.apply('MailDomain', 'hosted', relay.hosted)
    await relay.apply('RelayPolicy', 'house', house())
    for (const [kind, name] of [['maildomain', 'hosted'], ['relaypolicy', 'house']] as const) await relay.becomes('Accepted', 'Accepted', { kind, name })
    assert.equal((await relay.status()).revision, revision)

    ctx.step('the MailRelay itself is made wrong: it runs on as it was')
    await relay.relay({ replicas: 3, retryScheduleName: 'gone' })
    assert.match((await relay.becomes('Ready', 'RetryScheduleNotFound')).message, /RetrySchedule gone does not exist/)
    await goesOn()
    assert.equal(await pods(), before)

    ctx.step('and right again: it goes on from there')
    await relay.relay({})
    await relay.becomes('Ready', 'Ready')
    assert.equal(await pods(), before)
    assert.equal((await relay.status()).revision, revision)
    assert.equal((await relay.becomes('Accepted', 'Accepted', { kind: 'maildomain', name: 'hosted' })).status, 'True')
  },
}
