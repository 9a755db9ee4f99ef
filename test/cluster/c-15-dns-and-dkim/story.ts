// The DNS of a domain is the test's own: what it lacks is told in a condition, and a new DKIM key signs no mail before its record is seen there.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { startTestDns, type TestDns } from '../../tools/dns-server.ts'
import { until } from '../../tools/until.ts'
import { applyExamples, install } from '../tools/posthouse.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'
import { submit } from '../tools/submission.ts'

type Status = { readonly requiredRecords: readonly { readonly name: string; readonly state: string }[]; readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[] }

export const story: Story = {
  title: 'The records of a domain are missing, published and seen; a new DKIM key signs when its record was seen in DNS, and not before',
  needs: ['own cluster'], // its DNS is ours
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { host } = cluster.own!.net
    const dns = await startTestDns({ 'mx1.browncow.example': { a: ['192.0.2.25'], ttl: 1 } }, { host, port: 53 })
    ctx.cleanup(() => dns.close())
    await install(cluster, ctx)
    await applyExamples(cluster, ctx)
    await printWholeMails(cluster)
    await cluster.kubectl('create', 'serviceaccount', 'shop', '-n', 'shop')

    ctx.step('5 records are missing, the domain is Ready, and mail is signed by the first keys')
    await cluster.kubectl('wait', '-n', 'mail', '--for=condition=RecordsPublished=False', 'maildomain/browncow', '--timeout=300s')
    await cluster.kubectl('wait', '-n', 'mail', '--for=condition=Ready', 'maildomain/browncow', '--timeout=300s')
    const first = selectorsIn(await statusOf(cluster))
    assert.deepEqual(await signersOf(cluster, 'before'), [...first].sort())

    ctx.step('the lines of the message go into the zone, and are seen')
    const published = await publish(cluster, dns)
    assert.equal(published, 5)
    await seen(cluster, ctx, 'seconds until what was published was seen')

    ctx.step('a rotation begins: the new key is Missing, and the first goes on signing')
    await change(cluster, { algorithms: ['rsa'], rotation: { every: '5s', overlap: '5s' } })
    const rsa = first.filter((selector) => selector.includes('-rsa-'))
    const next = await until('a second RSA key', async () => selectorsIn(await statusOf(cluster)).find((selector) => selector.includes('-rsa-') && !first.includes(selector)), 120_000, 500)
    await until('it to be missing', async () => (await statusOf(cluster)).requiredRecords.find(({ name }) => name.startsWith(`${next}.`))?.state === 'Missing', 120_000, 500)
    assert.deepEqual(await signersOf(cluster, 'while-it-waits'), rsa)

    ctx.step('its record is published: from then on it signs')
    await publish(cluster, dns)
    const began = Date.now()
    await until('mail signed by the second key', async () => (await signersOf(cluster, `after-${Date.now()}`)).join() === next, 180_000, 2000)
    ctx.note('seconds from the record in DNS to mail signed by the key', ((Date.now() - began) / 1000).toFixed(0))
  },
}

const statusOf = async ({ kubectl }: Joined): Promise<Status> => (await kubectl.json<{ status: Status }>('get', 'maildomain', 'browncow', '-n', 'mail')).status

const selectorsIn = ({ requiredRecords }: Status): string[] => requiredRecords.flatMap(({ name }) => /^(.*)\._domainkey\./.exec(name)?.[1] ?? [])
const change = async ({ kubectl }: Joined, dkim: object): Promise<void> => void (await kubectl('patch', 'maildomain', 'browncow', '-n', 'mail', '--type=merge', '--patch', JSON.stringify({ spec: { outbound: { dkim } } })))

/** As a person does: every line of the condition's message into the zone. Returns how many. */
const publish = async (cluster: Joined, dns: TestDns): Promise<number> => {
  const { message } = (await statusOf(cluster)).conditions.find(({ type }) => type === 'RecordsPublished')!
  const texts = [...message.matchAll(/^(\S+)\. IN TXT (.*)$/gm)].map(([, name, text]) => [name!, [...text!.matchAll(/"([^"]*)"/g)].map(([, part]) => part!)] as const)
  const exchanges = [...message.matchAll(/^(\S+)\. IN MX 10 (\S+)\.$/gm)].map(([, name, host]) => [name!, host!] as const)
  for (const [name, strings] of texts) dns.set(name, { txt: [strings], mx: exchanges.filter(([at]) => at === name).map(([, host]) => [10, host]), ttl: 1 })
  return texts.length + exchanges.length
}

const seen = async ({ kubectl }: Joined, ctx: Ctx, note: string): Promise<void> => {
  const began = Date.now()
  await kubectl('wait', '-n', 'mail', '--for=condition=RecordsPublished', 'maildomain/browncow', '--timeout=5m')
  ctx.note(note, ((Date.now() - began) / 1000).toFixed(0))
}

/** Selectors in the signatures of a mail that the shop sends, by name. */
const signersOf = async (cluster: Joined, subject: string): Promise<string[]> => {
  const said = await submit(cluster, { namespace: 'shop', sender: 'shop', account: { name: 'shop', audience: 'posthouse.dev/mail/main' }, mechanism: 'XOAUTH2', from: 'orders@browncow.example', to: 'fred@browncow.example', subject })
  assert.match(said, /< 250 2\.0\.0 queued as /, said)
  const arrived = async (): Promise<string | undefined> => {
    const mails = (await cluster.kubectl('logs', 'mailstore', '-n', 'mail')).split('\n').filter((line) => line.startsWith('{')).map((line) => (JSON.parse(line) as { message: string }).message)
    return mails.find((message) => message.includes(`Subject: ${subject}\r\n`))
  }
  const message = await until(`mail ${subject} at the mail store`, arrived, 120_000, 500)
  const signatures = message.replaceAll(/\r\n[ \t]+/g, ' ').matchAll(/^DKIM-Signature:.*?[ ;]s=([a-z0-9-]+);/gm)
  return [...signatures].map(([, selector]) => selector!).sort()
}

/** The mail store of the examples, printing whole mails. */
const printWholeMails = async ({ kubectl, images }: Joined): Promise<void> => {
  await kubectl('delete', 'pod', 'mailstore', '-n', 'mail', '--grace-period=1')
  await kubectl.applyText(readFileSync(join(import.meta.dirname, '../tools/mailstore.yaml'), 'utf8').replace('POSTHOUSE_IMAGE', images.posthouse).replace('"2525"]', '"2525", --json]'))
  await kubectl('wait', '-n', 'mail', '--for=condition=Ready', 'pod/mailstore', '--timeout=300s')
}
