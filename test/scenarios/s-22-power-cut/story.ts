// The machine under the queue loses its power while mail flows: its memory is gone, and what its disk was given without a flush.
// First the proof that this loses something: a server that acknowledges before it syncs, as NATS does by default.
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { sendAll } from '../../tools/load-client.ts'
import { chance, mailsTo } from '../../tools/mails.ts'
import { addDomains, copyManifests, startFleet } from '../../tools/relay-process.ts'
import { settleAccounts } from '../../tools/settle-accounts.ts'
import { startSink } from '../../tools/sink.ts'
import { sleep, until } from '../../tools/until.ts'
import { createVirtualMachine, type VirtualMachine } from '../../tools/virtual-machine.ts'
import type { Story } from '../story.ts'

const count = 300
const cuts = 3
const unsynced = 100

export const story: Story = {
  title: `${count} mails while the machine under the queue loses its power ${cuts} times, and all that was not flushed to disk: nothing is lost`,
  needs: ['qemu'],
  limitSeconds: 900,
  run: async (ctx) => {
    const random = chance()
    ctx.note('seed', random.seed)
    const machine = await createVirtualMachine({ folder: join(ctx.folder, 'machine'), random, syncInterval: 'always' })
    const careless = await createVirtualMachine({ folder: join(ctx.folder, 'careless'), random, syncInterval: '2m' })
    ctx.cleanup(() => Promise.all([machine.stop(), careless.stop()]))
    ctx.step('a server that acknowledges before it syncs loses what it acknowledged')
    const [seconds, gone] = await Promise.all([machine.powerOn(), lostAtACut(careless)])
    ctx.note('first start', `${seconds.toFixed(1)} s`)
    ctx.note('without sync', `lost ${gone} of ${unsynced} acknowledged records`)
    assert.ok(gone > 0, 'a power cut that loses nothing that was not synced proves nothing')

    const sink = await startSink({ keepData: false, delay: () => random.below(100) })
    ctx.cleanup(() => sink.close())
    const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port })
    const domains = addDomains(manifests, 30, sink.port)
    const fleet = await startFleet({ folder: ctx.folder, manifests, nats: machine, count: 2 })
    ctx.cleanup(() => fleet.stop())

    let accepted = 0
    const sending = sendAll({ ports: fleet.ports(), clients: 10, mails: mailsTo(count, domains), onAccepted: (sum) => (accepted = sum), pauseMs: 100, patienceMs: 600_000 })
    for (let cut = 1; cut <= cuts; cut++) {
      await until(`part ${cut} of the load`, () => accepted >= (count * cut) / (cuts + 1), 240_000, 10)
      await sleep(random.below(500))
      ctx.step(`power cut ${cut}`)
      const { unflushed, lost } = await machine.cutPower()
      const at = accepted
      ctx.note(`power cut ${cut}`, `at ${at} mails accepted; ${lost} of ${unflushed} unflushed sectors lost; up again after ${(await machine.powerOn()).toFixed(1)} s`)
    }
    const sent = await sending
    assert.equal(sent.accepted.size, count)

    await settleAccounts(ctx, { sent, sink, relay: fleet.relays[0]! })
  },
}

/** How many of the records it acknowledged are gone, or in a stream that cannot be read any more. */
const lostAtACut = async (machine: VirtualMachine): Promise<number> => {
  await machine.powerOn()
  const before = await connect({ servers: [...machine.urls] })
  await (await jetstreamManager(before)).streams.add({ name: 'unsynced', subjects: ['unsynced'], storage: 'file' })
  for (let n = 0; n < unsynced; n++) await jetstream(before).publish('unsynced', `record ${n}`)
  await machine.cutPower()
  await before.close()
  await machine.powerOn()
  const after = await connect({ servers: [...machine.urls] })
  const left = await (await jetstreamManager(after)).streams.info('unsynced').then(({ state }) => state.messages, () => 0)
  await after.close()
  await machine.stop()
  return unsynced - left
}
