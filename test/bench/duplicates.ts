// kill -9 of a relay in the middle of a load with a slow next host: what is delivered twice, against what was in flight. Lost must be 0.
import { join } from 'node:path'
import { joinLedger, type Ledger } from '../tools/ledger.ts'
import { sendAll } from '../tools/load-client.ts'
import { mailsTo } from '../tools/mails.ts'
import { startTestNats } from '../tools/nats.ts'
import { copyManifests, startFleet } from '../tools/relay-process.ts'
import { startSink } from '../tools/sink.ts'
import { until } from '../tools/until.ts'

export type Killed = { readonly accepted: number; readonly lost: number; readonly duplicates: number; readonly inFlight: number; readonly secondsToTakeOver: number; readonly unsure: number; readonly unpromised: number }

export const killOne = async (folder: string, count: number): Promise<Killed> => {
  const sink = await startSink({ keepData: false, delay: () => 5 + Math.random() * 495 })
  const nats = await startTestNats(1)
  const manifests = copyManifests(join(import.meta.dirname, 'manifests'), join(folder, 'killed-manifests'), { 2626: sink.port })
  const fleet = await startFleet({ folder: join(folder, 'killed'), manifests, nats, count: 2, listeners: ['mx'] })
  try {
    let accepted = 0
    const sending = sendAll({ ports: fleet.ports(), clients: 40, mails: mailsTo(count, 'sink.example', { bytes: 4096 }), onAccepted: (sum) => (accepted = sum) })
    await until('half of the mails accepted', () => accepted >= count / 2, 120_000, 5)
    // the one whose lane the one destination has
    const flying = await Promise.all(fleet.relays.map(async (relay) => (await relay.ask<{ counts: { inFlight: number } }>('status')).counts.inFlight))
    const victim = flying[0]! >= flying[1]! ? 0 : 1
    const before = sink.recipients().length
    await fleet.relays[victim]!.kill()
    const killedAt = performance.now()
    // more than the killed one had begun; or all, where that was what was left
    await until('the other to deliver', () => sink.recipients().length > before + flying[victim]! || new Set(sink.recipients()).size >= count, 60_000, 10)
    const secondsToTakeOver = (performance.now() - killedAt) / 1000
    await fleet.restart(victim)
    const sent = await sending
    await until('every mail at the next host', () => new Set(sink.recipients()).size >= sent.accepted.size, 120_000, 100)
    const ledger: Ledger = joinLedger({ accepted: sent.accepted, arrived: sink.recipients() })
    return { accepted: ledger.accepted, lost: ledger.lost.length, duplicates: ledger.duplicates, inFlight: flying[victim]!, secondsToTakeOver, unsure: sent.unsure, unpromised: ledger.unpromised }
  } finally {
    await fleet.stop()
    await nats.stop()
    await sink.close()
  }
}
