// Namespaces that want what was not given to them: one that is not admitted, one that claims another's domain and writes as another.
// Each is refused, each refusal is named on both sides, and the mail of the others goes on.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { applyExamples, install } from '../tools/posthouse.ts'
import { joinCluster } from '../tools/shared.ts'
import { submit, type Submission } from '../tools/submission.ts'

type Condition = { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }
const object = (kind: string, key: string, spec: object): object => ({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { namespace: key.split('/')[0], name: key.split('/')[1] }, spec })
const namespace = (name: string, labels: object = {}): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
const account = (key: string): object => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: key.split('/')[0], name: key.split('/')[1] } })
const relayRef = { name: 'main', namespace: 'mail' }
const audience = 'posthouse.dev/mail/main'

export const story: Story = {
  title: 'A namespace that is not admitted, and one that claims a domain and addresses of another, are refused and named on both sides; the other tenant’s mail goes on',
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx)
    await applyExamples(cluster, ctx)
    if (!cluster.own) ctx.cleanup(() => kubectl('delete', 'namespace', 'stranger', 'tenant', '--ignore-not-found'))

    const shop: Submission = { namespace: 'shop', sender: 'shop', account: { name: 'shop', audience }, mechanism: 'OAUTHBEARER', from: 'orders@browncow.example', to: 'fred@browncow.example', subject: 'from the shop' }
    const shopSends = async (subject: string): Promise<void> => {
      const said = await submit(cluster, { ...shop, subject })
      assert.match(said, /< 250 2\.0\.0 queued as /, said)
      await until(`"${subject}" at the mail store`, async () => (await kubectl('logs', 'mailstore', '-n', 'mail')).includes(subject), 60_000, 300)
    }
    const conditionsOf = async (kind: string, key: string): Promise<readonly Condition[]> => {
      const [inside, name] = key.split('/') as [string, string]
      return (await kubectl.json<{ status?: { conditions?: Condition[] } }>('get', kind, name, '-n', inside)).status?.conditions ?? []
    }
    const becomes = async (kind: string, key: string, type: string, words: RegExp): Promise<Condition> => {
      let last: readonly Condition[] = []
      return await until(`${kind} ${key} to be ${type} with ${words.source}`, async () => (last = await conditionsOf(kind, key)).find((one) => one.type === type && words.test(`${one.status} ${one.reason} ${one.message}`)), 30_000, 300).catch((error: unknown) => assert.fail(`${String(error)}\n${JSON.stringify(last, undefined, 1)}`))
    }

    ctx.step('two tenants that are admitted')
    await kubectl.apply(namespace('stranger'), namespace('tenant', { mail: 'allowed' }))
    await kubectl.apply(account('shop/shop'), account('stranger/app'), account('tenant/news'), account('tenant/boss'))
    await kubectl.apply(object('MailSender', 'tenant/news', { relayRef, identity: { serviceAccountName: 'news' }, from: ['news@browncow.example'] }))
    // of the platform team, lent to nobody outside
    await kubectl.apply(object('MailDomain', 'mail/board', { domain: 'board.browncow.example' }))
    await kubectl('wait', '-n', 'tenant', '--for=condition=Ready', 'mailsender/news', '--timeout=300s')
    await shopSends('the shop before')
    const news: Submission = { ...shop, namespace: 'tenant', sender: 'news', account: { name: 'news', audience }, from: 'news@browncow.example', subject: 'from the tenant' }
    const taken = await submit(cluster, news)
    assert.match(taken, /< 250 2\.0\.0 queued as /, taken)

    ctx.step('a namespace without the label: refused, and named on the MailRelay')
    await kubectl.apply(object('MailSender', 'stranger/app', { relayRef, identity: { serviceAccountName: 'app' }, from: ['orders@browncow.example'] }))
    await becomes('mailsender', 'stranger/app', 'Ready', /^False NotAdmitted no listener of MailRelay mail\/main with AUTH admits senders of namespace stranger/)
    await becomes('mailrelay', 'mail/main', 'Contested', /^True NotAdmitted .*MailSender stranger\/app is refused/)

    ctx.step('a domain that was not given: refused, and named on the MailRelay')
    await kubectl.apply(object('MailDomain', 'tenant/mine', { domain: 'browncow.example', relayRefs: [relayRef] }))
    await becomes('maildomain', 'tenant/mine', 'Ready', /^False NotAdmitted no listener of MailRelay mail\/main admits domain browncow\.example of namespace tenant/)
    await becomes('mailrelay', 'mail/main', 'Contested', /MailDomain tenant\/mine is refused/)

    ctx.step('the listener gives away names, among them one that is held: the holder keeps it, and both are told')
    const { spec } = await kubectl.json<{ spec: { listeners: { name: string }[] } }>('get', 'mailrelay', 'main', '-n', 'mail')
    await kubectl('patch', 'mailrelay', 'main', '-n', 'mail', '--type=json', '--patch', JSON.stringify([{ op: 'add', path: `/spec/listeners/${spec.listeners.findIndex(({ name }) => name === 'mx')}/allowedDomains`, value: { namespaces: { from: 'All' }, names: ['browncow.example', '*.tenant.example'] } }]))
    await becomes('maildomain', 'tenant/mine', 'Ready', /^False DomainConflict MailDomain mail\/browncow holds browncow\.example/)
    await becomes('maildomain', 'mail/browncow', 'Contested', /^True DomainConflict MailDomain tenant\/mine is refused/)

    ctx.step('an address of a domain that lends none: refused, and named on the MailDomain')
    await kubectl.apply(object('MailSender', 'tenant/boss', { relayRef, identity: { serviceAccountName: 'boss' }, from: ['boss@board.browncow.example'] }))
    await becomes('mailsender', 'tenant/boss', 'Ready', /^False FromNotAllowed boss@board\.browncow\.example: MailDomain mail\/board does not admit namespace tenant/)
    await becomes('maildomain', 'mail/board', 'Contested', /^True FromNotAllowed MailSender tenant\/boss is refused/)

    ctx.step('in the session: who has no MailSender in force is nobody, who has one writes as itself only')
    assert.match(await submit(cluster, { ...news, account: { name: 'boss', audience }, from: 'boss@board.browncow.example' }), /< 535 5\.7\.8 Token refused: no MailSender of namespace tenant in force on MailRelay mail\/main names ServiceAccount tenant\/boss/)
    assert.match(await submit(cluster, { ...news, from: 'orders@browncow.example' }), /< 550 5\.7\.1 tenant\/news may not send as orders@browncow\.example \(MailSender tenant\/news, rule from\)/)
    assert.match(await submit(cluster, { ...news, account: { name: 'news', audience: 'posthouse.dev/mail/other' } }), /< 535 5\.7\.8 Token refused: it is not for this relay/)

    ctx.step('each is told in an Event, and the shop never noticed')
    const events = async (inside: string): Promise<string> => kubectl('get', 'events.events.k8s.io', '-n', inside, '-o', 'jsonpath={range .items[*]}{.regarding.kind}/{.regarding.name} {.reason}{"\\n"}{end}')
    assert.match(await events('stranger'), /^MailSender\/app NotAdmitted$/m)
    assert.match(await events('tenant'), /^MailDomain\/mine DomainConflict$/m)
    assert.match(await events('tenant'), /^MailSender\/boss FromNotAllowed$/m)
    await shopSends('the shop after')
    for (const [kind, key] of [['mailsender', 'shop/shop'], ['maildomain', 'mail/browncow'], ['mailrelay', 'mail/main']] as const) await becomes(kind, key, 'Ready', /^True /)

    ctx.step('what was refused goes, and so do the words about it')
    await kubectl('delete', 'maildomain/mine', '-n', 'tenant')
    await until('browncow to be contested no more', async () => !(await conditionsOf('maildomain', 'mail/browncow')).some(({ type }) => type === 'Contested'), 30_000, 300)
  },
}
