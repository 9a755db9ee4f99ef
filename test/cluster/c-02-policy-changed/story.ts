// A policy is changed while the relay runs: every pod has it within seconds, and none is restarted.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { applyExamples, install, mail, talkFrom } from '../tools/posthouse.ts'
import { joinCluster } from '../tools/shared.ts'

const barSeconds = 5

export const story: Story = {
  title: `A changed policy is in force on all three pods (bar: ${barSeconds} s), and none of them is restarted`,
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx)
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
  },
}
