// Our side: one nats-server that fsyncs before it acknowledges, and one relay process, from manifests as anyone would write them.
import { join } from 'node:path'
import { startTestNats, type TestNats } from '../tools/nats.ts'
import { copyManifests, startFleet, type Relay, type RelayFleet } from '../tools/relay-process.ts'
import type { Side } from './load.ts'

export type PosthouseSide = Side & { readonly fleet: RelayFleet; readonly nats: TestNats; relay(): Relay; stop(): Promise<void> }

export const startPosthouseSide = async (folder: string, sink: { readonly port: number }, arrived: () => number): Promise<PosthouseSide> => {
  const nats = await startTestNats(1)
  const manifests = copyManifests(join(import.meta.dirname, 'manifests'), join(folder, 'manifests'), { 2626: sink.port })
  const fleet = await startFleet({ folder: join(folder, 'posthouse'), manifests, nats, count: 1, listeners: ['mx'] })
  return {
    name: 'Posthouse',
    port: fleet.ports('mx')[0]!,
    arrived,
    fleet,
    nats,
    relay: () => fleet.relays[0]!,
    stop: async () => {
      await fleet.stop()
      await nats.stop()
    },
  }
}
