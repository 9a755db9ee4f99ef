// What the README promises: helm install, kubectl apply, wait, and mail sent to the Service is delivered. No step by hand.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { metricsOf, sumOf } from '../tools/pages.ts'
import { applyExamples, helm, install, kubectlPosthouse, mail, operatorNamespace, talkFrom } from '../tools/posthouse.ts'
import { chartFolder } from '../tools/chart.ts'
import { joinCluster } from '../tools/shared.ts'
import { submit } from '../tools/submission.ts'

export const story: Story = {
  title: 'helm install, kubectl apply, kubectl wait: three relay pods and three NATS servers, and mail sent to the Service arrives',
  needs: ['cluster'],
  limitSeconds: 600,
  run: async (ctx) => {
    const cluster = joinCluster()
    const { kubectl } = cluster
    const began = Date.now()
    const seconds = (): string => ((Date.now() - began) / 1000).toFixed(0)

    ctx.step('helm install')
    await install(cluster, ctx)
    ctx.note('seconds until the operator was ready', seconds())

    ctx.step('kubectl apply -f examples/cluster')
    await applyExamples(cluster, ctx)
    ctx.note('seconds until MailRelay main was Ready', seconds())
    for (const [kind, name, namespace] of [['maildomain', 'browncow', 'mail'], ['deliveryroute', 'partner', 'mail'], ['relaypolicy', 'house-rules', 'mail'], ['mailsender', 'shop', 'shop']] as const)
      await kubectl('wait', '--namespace', namespace, '--for=condition=Ready', `${kind}/${name}`, '--timeout=300s')

    ctx.step('three of each')
    const running = async (component: string): Promise<number> => (await kubectl('get', 'pods', '-n', 'mail', '-l', `app.kubernetes.io/component=${component}`, '--field-selector=status.phase=Running', '-o', 'name')).trim().split('\n').length
    assert.deepEqual([await running('relay'), await running('queue')], [3, 3])

    ctx.step('mail from a stranger to a hosted domain arrives; to elsewhere it is refused')
    const service = 'main.mail.svc.cluster.local:25'
    const taken = await talkFrom(cluster, 'mail', service, ...mail('joe@elsewhere.example', 'fred@browncow.example', 'first of the cluster'))
    assert.match(taken, /< 250 2\.0\.0 /, taken)
    await until('the mail at the mail store', async () => (await kubectl('logs', 'mailstore', '-n', 'mail')).includes('first of the cluster'), 60_000, 300)
    ctx.note('seconds until the first mail was delivered', seconds())
    const refused = await talkFrom(cluster, 'mail', service, ...mail('joe@elsewhere.example', 'fred@far.example', 'no'))
    assert.match(refused, /< 550 5\.7\.1 .*[Rr]elaying denied/, refused)

    ctx.step('a pod of the shop sends with the token of its ServiceAccount, and as nobody else')
    await kubectl('create', 'serviceaccount', 'shop', '-n', 'shop')
    const shop = { namespace: 'shop', sender: 'shop', account: { name: 'shop', audience: 'posthouse.dev/mail/main' }, mechanism: 'XOAUTH2', from: 'orders@browncow.example', to: 'fred@browncow.example', subject: 'from the shop' } as const
    const sent = await submit(cluster, shop)
    assert.match(sent, /< 235 2\.7\.0 Authenticated as MailSender shop\/shop\n[^]*< 250 2\.0\.0 queued as /, sent)
    await until('the mail of the shop at the mail store', async () => (await kubectl('logs', 'mailstore', '-n', 'mail')).includes('from the shop'), 60_000, 300)
    assert.match(await submit(cluster, { ...shop, from: 'boss@browncow.example' }), /< 550 5\.7\.1 shop\/shop may not send as boss@browncow\.example/)
    assert.match(await submit(cluster, { ...shop, account: { ...shop.account, name: 'default' } }), /< 535 5\.7\.8 Token refused: no MailSender of namespace shop in force on MailRelay mail\/main names ServiceAccount shop\/default/)

    ctx.step('kubectl posthouse tells what became of it, and why the other was refused')
    const ask = async (code: number, says: RegExp, ...args: string[]): Promise<string> => {
      const answer = await kubectlPosthouse(cluster, ...args)
      assert.equal(answer.code, code, answer.output)
      assert.match(answer.output, says)
      return answer.stdout
    }
    const id = /queued as (\S+)/.exec(taken)![1]!
    await ask(0, /The queue is empty/, 'queue')
    await ask(0, /accepted[^]*delivered/, 'trace', id)
    await ask(0, /not in the queue any more/, 'why', id)
    await ask(1, /neither in the queue nor in the trace/, 'why', 'nosuchmessage')
    await ask(0, /fred@browncow\.example: yes/, 'can-send', '--as', 'stranger', '--from', 'joe@elsewhere.example', '--to', 'fred@browncow.example')
    await ask(1, /550 5\.7\.1 Relaying denied/, 'can-send', '--as', 'stranger', '--from', 'joe@elsewhere.example', '--to', 'fred@far.example')
    await ask(0, /no mistakes/, 'check', '-f', join(import.meta.dirname, '../../../examples/cluster'))
    await ask(0, /< 220 mx1\.browncow\.example/, 'talk', 'localhost:2525', 'ehlo me.example', 'quit')
    assert.equal((JSON.parse(await ask(0, /delivered/, 'trace', id, '--json')) as object[]).length > 1, true)
    const probed = await kubectlPosthouse(cluster, 'probe', 'nosuch.invalid')
    assert.notEqual(probed.code, 0, probed.output)
    assert.match(probed.output, /nosuch\.invalid/)

    ctx.step('what the pods tell Prometheus: 64 lanes served, 3 servers and 3 copies seen by each pod, one operator that leads and sees 3 pods ready')
    const told = async (): Promise<number[]> => {
      const [relays, operators] = await Promise.all([metricsOf(kubectl, 'mail', 'relay'), metricsOf(kubectl, operatorNamespace, 'operator')])
      const [lanes, up, copies] = ['queue_lanes_owned{', 'queue_server_up{server="main-queue-', 'queue_replicas{state="current"'].map((begins) => sumOf(relays, `posthouse_${begins}`))
      const [leaders, ready] = ['leader ', 'relay_pods{relay="mail/main",state="ready"'].map((begins) => sumOf(operators, `posthouse_operator_${begins}`.trim()))
      return [lanes!, up!, copies!, leaders!, ready!]
    }
    await until('the figures', async () => (await told()).join() === '64,9,9,1,3', 120_000, 1000).catch(async () => assert.deepEqual(await told(), [64, 9, 9, 1, 3]))

    ctx.step('helm test: mail to the postmaster of the first domain is accepted; mail to elsewhere fails it')
    const helmTest = async (to: string): Promise<string> => {
      await helm(cluster, 'upgrade', 'posthouse', chartFolder, '--namespace', operatorNamespace, '--reuse-values', '--set', `test.server=${service},test.to=${to}`)
      return helm(cluster, 'test', 'posthouse', '--namespace', operatorNamespace, '--logs', '--timeout', '90s')
    }
    assert.match(await helmTest('postmaster'), /< 250 2\.0\.0 queued as [^]*\naccepted/)
    await assert.rejects(helmTest('fred@far.example'), /NOT accepted: 550 5\.7\.1 .*[Rr]elaying denied/)

    ctx.step('nothing of it was restarted on the way')
    const restarts = await kubectl('get', 'pods', '-n', 'mail', '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}')
    assert.match(restarts, /^0( 0){5,}$/, restarts)
    const operators = await kubectl('get', 'pods', '-n', operatorNamespace, '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}')
    assert.match(operators, /^0( 0)*$/, operators)
  },
}
