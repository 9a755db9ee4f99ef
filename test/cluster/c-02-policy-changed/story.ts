// A policy is changed while the relay runs: every pod has it within seconds, and none is restarted. Then nothing changes, and the operator writes nothing, however often strangers try.
import assert from 'node:assert/strict'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { sleep, until } from '../../tools/until.ts'
import { applyExamples, install, mail, operatorNamespace, talkFrom } from '../tools/posthouse.ts'
import { metricsOf, sumOf } from '../tools/pages.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'

const barSeconds = 5
const rounds = 2

export const story: Story = {
  title: `A changed policy is in force on all three pods (bar: ${barSeconds} s), and none of them is restarted; ${rounds} more attempts of strangers that find the same write nothing`,
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx, '--set', 'probeEvery=10s')
    await applyExamples(cluster, ctx)
    const pods = async (): Promise<string> => kubectl('get', 'pods', '-n', 'mail', '-l', 'app.kubernetes.io/component=relay', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{"\\n"}{end}')
    const before = await pods()
    const programmed = async (revision?: string): Promise<boolean> => {
      const { status, metadata } = await kubectl.json<{ status: { revision: string; conditions: { type: string; status: string }[] }; metadata: { generation: number } }>('get', 'mailrelay', 'main', '-n', 'mail')
      return metadata.generation > 0 && status.revision !== revision && status.conditions.some(({ type, status: is }) => type === 'Programmed' && is === 'True')
    }

    ctx.step('a rule that denies one domain is added')
    const { revision } = (await kubectl.json<{ status: { revision: string } }>('get', 'mailrelay', 'main', '-n', 'mail')).status
    const service = 'main.mail.svc.cluster.local:25'
    assert.match(await talkFrom(cluster, 'mail', service, ...mail('joe@spam.example', 'fred@browncow.example', 'before')), /< 250 2\.0\.0 /)
    const began = Date.now()
    await kubectl.apply({
      apiVersion: 'posthouse.dev/v1alpha1',
      kind: 'RelayPolicy',
      metadata: { name: 'no-spam', namespace: 'mail' },
      spec: { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'spam', match: { mailFrom: ['*@spam.example'] }, action: 'Deny', reply: 'not from there' }] },
    })
    await until('another revision on every pod', () => programmed(revision), barSeconds * 10_000, 100)
    ctx.note('seconds until all pods had it', ((Date.now() - began) / 1000).toFixed(1))

    ctx.step('it is in force, and the pods are the same')
    assert.match(await talkFrom(cluster, 'mail', service, ...mail('joe@spam.example', 'fred@browncow.example', 'after')), /< 550 5\.7\.1 .*not from there/)
    assert.equal(await pods(), before)
    assert.equal(before.trim().split('\n').length, 3)
    await writesNothing(cluster, ctx)
  },
}

/** Each attempt by a stranger is refused many times by each listener. */
const writesNothing = async ({ kubectl }: Joined, ctx: Ctx): Promise<void> => {
  const refused = async (): Promise<number> => sumOf(await metricsOf(kubectl, 'mail', 'relay'), 'posthouse_messages_refused_total')
  const anotherRound = async (): Promise<void> => {
    const before = await refused()
    await until('a stranger to be refused', async () => (await refused()) > before, 120_000, 500)
    for (let last = -1, now = await refused(); now !== last; await sleep(3_000)) [last, now] = [now, await refused()]
  }
  ctx.step(`${rounds} more attempts of strangers`)
  await anotherRound()
  const before = await writes(kubectl)
  assert.ok(Object.keys(before).length > 0, 'no operator tells of its writes')
  for (let round = 0; round < rounds; round++) await anotherRound()
  assert.deepEqual(await writes(kubectl), before)
}

/** Of the operators to the API server, by their own count; what renews the Lease apart. */
const writes = async (kubectl: Joined['kubectl']): Promise<Record<string, number>> => {
  const pages = await metricsOf(kubectl, operatorNamespace, 'operator')
  const all = pages.flatMap((page) => [...page]).filter(([series]) => series.startsWith('posthouse_operator_api_requests_total') && !/verb="(?:get|list|watch)"|resource="leases"/i.test(series))
  return Object.fromEntries(all)
}
