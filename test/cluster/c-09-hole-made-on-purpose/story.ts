// A hole where the plan cannot see it: the operator is made to believe addresses, and a rule names the one behind which everybody outside is hidden. The probe finds it, and the relay is closed.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { install, operatorNamespace } from '../tools/posthouse.ts'
import { joinCluster } from '../tools/shared.ts'
import { fromOutside, SmallRelay } from '../tools/small-relay.ts'

const barSeconds = 30
const believing = ['--set-json', `deployment.patch=${JSON.stringify([{ op: 'add', path: '/spec/template/spec/containers/0/env', value: [{ name: 'POSTHOUSE_TEST_BELIEVE_ADDRESSES', value: 'yes' }] }])}`]

export const story: Story = {
  title: `An Allow for the address that hides everybody outside: the probe relays, and the listener is closed (bar: ${barSeconds} s), also after a restart`,
  needs: ['cluster'],
  limitSeconds: 800,
  run: async (ctx) => {
    const cluster = joinCluster()
    await install(cluster, ctx, ...believing)
    const relay = new SmallRelay(cluster, 'c-09')
    ctx.step('a relay behind a node port, which hides who comes')
    await relay.make(ctx, { type: 'NodePort' })
    const outside = await relay.nodePort()
    const hidden = /admits ([0-9a-f.:]+)/.exec(await fromOutside(outside))![1]!
    await relay.becomes('OpenRelayProbe', 'StrangersRefused')

    ctx.step(`a rule allows ${hidden}, the address of everybody outside`)
    const began = Date.now()
    await relay.allow(`${hidden}/32`)
    const told = await relay.becomes('OpenRelayProbe', 'StrangerRelayed', { ms: barSeconds * 10_000 })
    ctx.note('seconds until the probe had found it', ((Date.now() - began) / 1000).toFixed(1))
    assert.equal(told.status, 'False')
    await until('a stranger from outside to be refused', async () => (await fromOutside(outside)).startsWith('550 5.7.1'), barSeconds * 10_000, 200)
    ctx.note('seconds until the listener was closed', ((Date.now() - began) / 1000).toFixed(1))

    ctx.step('it says so everywhere, and hosted mail goes on')
    assert.match(await fromOutside(outside, 'fred@hosted.example'), /^250 2\.0\.0 /)
    assert.equal((await relay.becomes('Ready', 'StrangerRelayed')).status, 'False')
    assert.ok((await relay.status()).listeners!.find(({ name }) => name === 'mx')!.closedFor !== undefined)
    await until('the Event', async () => (await relay.events()).includes('StrangerRelayed MailRelay main'))
    const logs = await cluster.kubectl('logs', '-n', operatorNamespace, '-l', 'app.kubernetes.io/component=operator', '--tail=-1')
    assert.match(logs, /"event":"OPEN_RELAY","relay":"c-09\/main","listener":"mx","way":"from outside"/)

    await staysClosedOverRestart(relay, outside, ctx)

    ctx.step('the rule is taken back: a stranger is refused, and the listener opens')
    await cluster.kubectl('delete', 'relaypolicy', 'old-hosts', '-n', 'c-09')
    await relay.becomes('OpenRelayProbe', 'StrangersRefused', { ms: barSeconds * 10_000 })
    await relay.becomes('Ready', 'Ready')
    assert.equal((await relay.status()).listeners!.find(({ name }) => name === 'mx')!.closedFor, undefined)
  },
}

const staysClosedOverRestart = async ({ cluster, ...relay }: SmallRelay, outside: { host: string; port: number }, ctx: Ctx): Promise<void> => {
  ctx.step('the operator is started anew, and nobody relays meanwhile')
  const holder = () => cluster.kubectl('get', 'lease', 'posthouse-operator', '-n', operatorNamespace, '-o', 'jsonpath={.spec.holderIdentity}')
  const before = await holder()
  await cluster.kubectl('delete', 'pods', '-n', operatorNamespace, '-l', 'app.kubernetes.io/component=operator', '--wait=false')
  let tries = 0
  const through: string[] = []
  const tryToRelay = async (): Promise<void> => {
    tries += 1
    const said = await fromOutside(outside)
    if (!said.startsWith('550 5.7.1 ')) through.push(said)
  }
  await until('another operator to lead', async () => {
    await tryToRelay()
    const now = await holder()
    return now !== '' && now !== before
  }, 120_000, 300)
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(300)) await tryToRelay()
  assert.deepEqual(through, [])
  ctx.note('tries of a stranger while the operator was started anew', tries)
  const again = new SmallRelay(cluster, relay.namespace)
  assert.equal((await again.becomes('OpenRelayProbe', 'StrangerRelayed')).status, 'False')
}
