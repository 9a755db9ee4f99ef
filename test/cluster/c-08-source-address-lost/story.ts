// Clients whose address is lost on the way: by what is declared, and by what is seen. Where it is lost no rule trusts an address; where it is kept, one does.
import assert from 'node:assert/strict'
import type { Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { install } from '../tools/posthouse.ts'
import { joinCluster } from '../tools/shared.ts'
import { fromOutside, SmallRelay } from '../tools/small-relay.ts'

const refused = /550 5\.7\.1 .*[Rr]elaying denied/
const taken = /250 2\.0\.0 /

export const story: Story = {
  title: 'Where the client’s address is lost behind SNAT a condition says so and no rule trusts an address, declared or seen; where it is kept, the rule holds',
  needs: ['cluster'],
  limitSeconds: 800,
  run: async (ctx) => {
    const cluster = joinCluster()
    await install(cluster, ctx)
    const relay = new SmallRelay(cluster, 'c-08')

    ctx.step('a Service of the cluster alone, and a rule for all private addresses: a pod relays by it')
    await relay.make(ctx)
    await relay.allow('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', ...(cluster.own?.net.family === 'IPv6' ? [cluster.own.net.all] : []))
    await relay.becomes('SourceAddressPreserved', 'AddressPreserved')
    await until('a pod to relay', async () => taken.test(await relay.fromPod()), 60_000, 500)

    if (cluster.own) {
      ctx.step('who comes from outside to the same Service comes with the address of a gateway: refused, though the rule would mean it')
      assert.match(await fromOutside(await relay.clusterIp()), refused)
      const began = Date.now()
      await relay.becomes('SourceAddressPreserved', 'NodeAddressSeen', { ms: 300_000 })
      ctx.note('seconds until the address of a node was seen', ((Date.now() - began) / 1000).toFixed(1))
      await until('no pod relays by its address any more', async () => refused.test(await relay.fromPod()), 100_000, 500)
      ctx.note('seconds until no address was trusted', ((Date.now() - began) / 1000).toFixed(1))
      await until('the Event', async () => (await relay.events()).includes('NodeAddressSeen MailRelay main'))
      assert.equal((await relay.becomes('OpenRelayProbe', 'StrangersRefused')).status, 'True')
    } else ctx.without('a client from outside to the Service of the cluster, whose way into a cluster of somebody else is not known: that the address of a node is seen, and trusted no more')

    ctx.step('a node port of the whole cluster: declared so that addresses are lost')
    await relay.relay({ service: { type: 'NodePort', externalTrafficPolicy: 'Cluster' } })
    await relay.becomes('SourceAddressPreserved', 'AddressRewritten')
    await relay.becomes('Programmed', 'Programmed')
    assert.match(await fromOutside(await relay.nodePort()), refused)
    assert.match(await relay.fromPod(), refused)

    ctx.step('a node port of the node alone: addresses are kept, and the rule holds again for those it means')
    await relay.relay({ service: { type: 'NodePort', externalTrafficPolicy: 'Local' } })
    await relay.becomes('SourceAddressPreserved', 'AddressPreserved')
    await until('a pod to relay again', async () => taken.test(await relay.fromPod()), 60_000, 500)
    if (cluster.own) assert.match(await fromOutside(await relay.nodePort()), taken) // our side of the link is in the range, and is no node
    else ctx.without('a client from outside to the node port, whose address may be outside the range: that it relays')
    assert.equal((await relay.becomes('OpenRelayProbe', 'StrangersRefused')).status, 'True')
  },
}
