// Three MX hosts on loopback behind a real name server, and deliverers that ask it: for tests of whole attempts by MX.
import { after, afterEach, before } from 'node:test'
import { startSink, type RunningSink, type SinkOptions } from '../../cli/standalone/sink.ts'
import type { DelivererOptions, RunningDeliverer } from '../../relay/deliver/index.ts'
import { createResolver } from '../../relay/dns/index.ts'
import type { Settlement } from '../../relay/queue/index.ts'
import type { SnapshotInput } from '../../relay/snapshot/index.ts'
import { attemptOf, bodyOf, never, testDeliverer, testDelivery, testMessage, testSnapshot, type DeliveryChange } from './delivery.ts'
import { startTestDns, type TestDns } from './dns-server.ts'

const hosts = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const

/** To be called within a `describe`: what a test opened is closed after it. */
export const attemptsByMx = () => {
  let dns: TestDns
  let sinks: RunningSink[] = []
  let deliverers: RunningDeliverer[] = []
  before(async () => {
    dns = await startTestDns({
      'dest.example': { mx: [[10, 'mx1.dest.example'], [20, 'mx2.dest.example'], [30, 'mx3.dest.example']] },
      'mx1.dest.example': { a: [hosts[0]] },
      'mx2.dest.example': { a: [hosts[1]] },
      'mx3.dest.example': { a: [hosts[2]] },
      'bare.example': { a: [hosts[0]] },
      'null.example': { mx: [[0, '.']] },
      'ours.example': { mx: [[10, 'mx1.relay.example'], [20, 'mx2.dest.example']] },
      'mx1.relay.example': { a: [hosts[0]] },
      'broken.example': { does: 'servfail' },
      'ssrf.example': { mx: [[10, 'inside.example']] },
      'inside.example': { a: ['10.0.0.1'] },
    })
  })
  after(() => dns.close())
  afterEach(async () => {
    await Promise.all(deliverers.map((deliverer) => deliverer.close()))
    await Promise.all(sinks.map((sink) => sink.close()))
    sinks = []
    deliverers = []
  })

  /** Sinks on one port of different loopback addresses, as MX hosts on 25 are. `undefined`: nobody listens there. */
  const mxHosts = async (...options: (SinkOptions | undefined)[]): Promise<RunningSink[]> => {
    for (let attempt = 0; ; attempt++) {
      const made: RunningSink[] = []
      try {
        for (const [index, one] of options.entries()) if (one) made[index] = await startSink({ ...one, host: hosts[index]!, port: made.find((sink) => sink !== undefined)?.port ?? 0 })
        sinks.push(...made.filter((sink) => sink !== undefined))
        return made
      } catch (error) {
        await Promise.all(made.map((sink) => sink?.close()))
        if (attempt > 10) throw error // another process had that port on one address
      }
    }
  }
  const deliverer = (port: number, options: Partial<DelivererOptions> = {}, snapshot: Partial<SnapshotInput> = {}, relay: Partial<SnapshotInput['relay']> = {}): RunningDeliverer => {
    const resolver = createResolver({ nameservers: () => [dns.nameserver], timeoutMs: 10_000, rounds: 1 })
    const made = testDeliverer(testSnapshot(snapshot, relay), { resolver, mxPort: port, allowLoopback: true, random: () => 0.5, ...options })
    deliverers.push(made)
    return made
  }
  const attempt = (made: RunningDeliverer, change: DeliveryChange & { body?: Buffer; pieces?: number; signal?: AbortSignal } = {}): Promise<Settlement> => {
    const { body = testMessage, pieces, signal = never(), ...rest } = change
    return attemptOf(made, testDelivery({ bytes: body.length, ...rest }), bodyOf(body, pieces), signal)
  }
  const took = (all: readonly (RunningSink | undefined)[]): number[] => Array.from(all, (sink) => sink?.count() ?? 0)
  return { mxHosts, deliverer, attempt, took, dns: () => dns }
}
