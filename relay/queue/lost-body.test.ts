import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aMessage, deferred, deliverer, simulated } from './fixtures.ts'
import { Look } from './look.ts'
import type { Delivery, Settlement } from './types.ts'

const chunked = { id: 'b', chunks: 1, bytes: 70_000, sha256: '0'.repeat(64), head: Buffer.from('Subject: hello\r\n\r\n') }
const onHold = ({ recipients }: Delivery): Settlement => ({ held: { recipients, why: 'the attempt broke off here' }, notices: [], trace: [] })

for (const [when, settled] of [
  ['before its time is over, where its deliverer would try again', (delivery: Delivery) => deferred(delivery, Date.now())],
  ['at its last attempt, where its deliverer puts it on hold itself', onHold],
] as const)
  test(`1 mail whose bytes are not there is told, and on hold by that name: ${when}`, async (t) => {
    const { clock, context, metrics, accept, stop } = await simulated({
      deliverer: () => deliverer(async (delivery, body) => {
        await assert.rejects(async () => { for await (const _ of body.open()); }, { code: 'BODY_MISSING' })
        return settled(delivery)
      }),
    })
    t.after(stop)
    accept({ ...aMessage({ id: 'm1' }), body: { chunked } }) // chunk 1 was never stored
    await clock.pass(30_000)
    const found = new Look(context, { ownerOf: () => undefined }).list({ state: 'held' })
    await clock.pass(5_000)
    assert.deepEqual((await found).map(({ id, why }) => [id, why?.split(':')[0]]), [['m1.0', 'BODY_MISSING']])
    assert.equal((await metrics.recordsUnreadable.get()).values[0]!.value, 1)
  })
