// What the README promises: helm install, kubectl apply, wait, and mail sent to the Service is delivered. No step by hand.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { applyExamples, install, mail, operatorNamespace, talkFrom } from '../tools/posthouse.ts'
import { joinCluster } from '../tools/shared.ts'

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
      await kubectl('wait', '--namespace', namespace, '--for=condition=Ready', `${kind}/${name}`, '--timeout=1m')

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

    ctx.step('the person sees what became of it, from inside a relay pod')
    const exec = (...command: string[]) => kubectl('exec', '-n', 'mail', 'deployment/main', '--', '/usr/local/bin/node', '/app/bin/posthouse.mjs', ...command)
    assert.match(await exec('queue'), /empty/)

    ctx.step('nothing of it was restarted on the way')
    const restarts = await kubectl('get', 'pods', '-n', 'mail', '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}')
    assert.match(restarts, /^[0 ]*$/, restarts)
    const operators = await kubectl('get', 'pods', '-n', operatorNamespace, '-o', 'jsonpath={.items[*].status.containerStatuses[*].restartCount}')
    assert.match(operators, /^[0 ]*$/, operators)
  },
}
