// Two relays on three queue servers, each with a small volume of its own, and a next host that takes nothing before it is opened.
import { join } from 'node:path'
import { startTestNats, type TestNats } from '../tools/nats.ts'
import { addDomains, copyManifests, startFleet, type RelayFleet } from '../tools/relay-process.ts'
import { startSink, type Sink } from '../tools/sink.ts'
import { mountSmall, type SmallVolume } from '../tools/small-volume.ts'
import type { Ctx } from './story.ts'

export type OnSmallVolumes = { readonly volumes: readonly SmallVolume[]; readonly nats: TestNats; readonly sink: Sink; readonly fleet: RelayFleet; readonly domains: readonly string[]; open(): void }

export const startOnSmallVolumes = async (ctx: Ctx, given: { readonly megabytes: number; readonly domains: number }): Promise<OnSmallVolumes> => {
  const volumes: SmallVolume[] = []
  const nats = await startTestNats(3, (folder) => void volumes.push(mountSmall(folder, given.megabytes)))
  ctx.cleanup(() => nats.stop())
  let isOpen = false
  const sink = await startSink({ keepData: false, command: (verb) => (verb === 'MAIL' && !isOpen ? '451 4.3.0 not yet' : undefined) })
  ctx.cleanup(() => sink.close())
  const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'))
  const domains = addDomains(manifests, given.domains, sink.port)
  const fleet = await startFleet({ folder: ctx.folder, manifests, nats, count: 2 })
  ctx.cleanup(() => fleet.stop())
  return { volumes, nats, sink, fleet, domains, open: () => void (isOpen = true) }
}
