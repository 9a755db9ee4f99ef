// Uninstalled with mail in the queue: relay pods and queue go on without an operator, helm says what would hang; installed again, it goes on. Then the relay itself is deleted, with mail in its queue.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { runChild } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { programPath } from '../tools/build.ts'
import { applyOneRelay, conditionOf, sendMany, untilDelivered, untilReady } from '../tools/one-relay.ts'
import { install, operatorNamespace, startMailstore, talkFrom } from '../tools/posthouse.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'

export const story: Story = {
  title: 'helm uninstall leaves CRDs, relay pods and queue, and says what would hang; installed again it goes on; a MailRelay with mail in its queue goes when the last is delivered',
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    await install(cluster, ctx)
    await applyOneRelay(cluster, ctx)
    await startMailstore(cluster)
    await kubectl('wait', '--namespace', 'mail', '--for=condition=Ready', 'pod/mailstore', '--timeout=300s')
    const pods = () => kubectl('get', 'pods', '-n', 'mail', '-l', 'app.kubernetes.io/name=posthouse', '-o', 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}')
    const before = await pods()
    assert.equal(before.trim().split('\n').length, 5, '2 relays and 3 queue servers')

    ctx.step('helm uninstall says what stays and what would hang')
    // helm writes what a hook printed to its standard error
    const { output: said } = await runChild(programPath('helm'), ['--kubeconfig', cluster.kubeconfig, 'uninstall', 'posthouse', '--namespace', operatorNamespace, '--wait'], { forMs: 180_000 })
    assert.match(said, /kept due to the resource policy[^]*mailrelays\.posthouse\.dev/)
    assert.match(said, /MailRelay mail\/main/)
    assert.match(said, /kubectl patch mailrelay main -n mail/)
    assert.match(await kubectl('get', 'crd', '-o', 'name'), /mailrelays\.posthouse\.dev/)

    ctx.step('without an operator mail is taken and delivered')
    const first = await sendMany(cluster, 'nobody-operates', 5)
    await untilDelivered(cluster, first)

    ctx.step('the store goes away, mail waits; installed again, the same pods go on')
    await kubectl('delete', 'pod', 'mailstore', '-n', 'mail', '--grace-period=1')
    const waiting = await sendMany(cluster, 'waits', 20)
    await install(cluster, ctx)
    await untilReady(cluster)
    assert.equal(await pods(), before)

    ctx.step('the relay is deleted: it waits for 20 deliveries, says so, and takes no new mail')
    await kubectl('delete', 'mailrelay', 'main', '-n', 'mail', '--wait=false')
    await until('Drained to say why it waits', async () => (await conditionOf(cluster, 'Drained'))?.reason === 'QueueNotEmpty', 60_000, 500)
    assert.match((await conditionOf(cluster, 'Drained'))!.message, /^20 deliveries wait/)
    assert.match(await kubectl('get', 'events', '-n', 'mail', '--field-selector=reason=QueueNotEmpty', '-o', 'jsonpath={.items[*].message}'), /deliveries wait .*discard-queue/)
    await until('new mail to be refused', () => isRefused(cluster), 120_000, 1000)

    ctx.step('the store is back: all is delivered, and the relay goes; its volumes stay')
    await startMailstore(cluster)
    await untilDelivered(cluster, waiting)
    await kubectl('wait', '--for=delete', 'mailrelay/main', '-n', 'mail', '--timeout=300s')
    await until('no pods of it', async () => (await pods()).trim() === '', 150_000, 1000)
    assert.equal((await kubectl('get', 'pvc', '-n', 'mail', '-o', 'name')).trim().split('\n').length, 3)
  },
}

const isRefused = async (cluster: Joined): Promise<boolean> => /< 451 4\.3\.2 MailRelay mail\/main is being removed/.test(await talkFrom(cluster, 'mail', 'main.mail.svc.cluster.local:25', 'EHLO client.example', 'MAIL FROM:<joe@elsewhere.example>', 'QUIT'))
