// Who serves a lane, and for how long: two processes on the simulated stream, with a clock whose hands the test turns.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMetrics, silentLog } from '../report/index.ts'
import { usualLimits } from './context.ts'
import { noNotices } from './fixtures.ts'
import { Own, type Tenure } from './own.ts'
import { createGate, SimulatedClock } from './simulated-clock.ts'
import { SimulatedStream } from './simulated-stream.ts'
import type { Stream } from './stream.ts'
import { createSubjects } from './subjects.ts'

const metrics = createMetrics()

class World {
  readonly clock = new SimulatedClock()
  readonly stream = new SimulatedStream(this.clock)
  /** The servers have no leader: what is asked of the stream is not answered; heartbeats still go round. */
  leaderless = false
  /** By how much the servers' clock has been set back since leases of `gone` were written. */
  setBackMs = 0
  /** Told of each subject once its last record was read. */
  onRead: (subject: string) => void = () => {}

  process(pod: string) {
    const gate = createGate(this.clock)
    const slept = { ms: 0 }
    /** Its link to the servers: where it is down, nothing is answered, said or heard. It may also be deaf only, or lose its purges only. */
    const link = { isUp: true, isDeaf: false, purges: true }
    const lost: number[] = []
    const gained: Tenure[] = []
    const reader = { alive: true }
    const kept = new Map<number, Tenure>()
    const context = { stream: this.#view(link), subjects: createSubjects('o'), clock: { ...gate.clock, monotonic: () => this.clock.monotonic() - slept.ms }, log: silentLog, metrics, pod, incarnation: `${pod}i`, composeNotice: noNotices, newMessageId: () => '', siteOf: (domain: string) => domain, emit: () => {}, limits: usualLimits }
    const own = new Own(context, {
      onGained: (tenures) => tenures.forEach((tenure) => (gained.push(tenure), kept.set(tenure.lane, tenure))),
      onLost: ({ lane }) => (lost.push(lane), kept.delete(lane)),
      finish: () => Promise.resolve(),
      readerAlive: () => reader.alive,
      lanesFit: () => true,
    }, () => '')
    own.start()
    /** Its whole machine is suspended: its monotonic clock stands still. */
    const suspend = async (ms: number): Promise<void> => {
      gate.pause()
      Object.assign(link, { isUp: false })
      await this.clock.pass(ms)
      Object.assign(link, { isUp: true })
      slept.ms += ms
    }
    return { own, lost, gained, reader, link, suspend, wake: () => gate.resume(), serves: () => [...kept.values()].filter((tenure) => own.mayStart(tenure)).length }
  }
  #view(link: { readonly isUp: boolean; readonly isDeaf: boolean; readonly purges: boolean }): Stream {
    const stream = this.stream.view()
    const unless = async <T>(ask: () => Promise<T>, none: T, isLost = false): Promise<T> => {
      if (!this.leaderless && link.isUp && !isLost) return ask()
      await new Promise<void>((resolve) => void this.clock.after(1_000, resolve))
      return none
    }
    const silence = { kind: 'silence' as const, text: 'no leader' }
    return {
      ...stream,
      tell: (subject, data) => link.isUp && stream.tell(subject, data),
      hear: (subject, on) => stream.hear(subject, (data, reply) => link.isUp && !link.isDeaf && on(data, reply)),
      publish: (record) => unless(() => stream.publish(record), silence),
      batch: (records) => unless(() => stream.batch(records), silence),
      purge: (filter, below) => unless(() => stream.purge(filter, below), undefined, !link.purges),
      remove: (seq) => unless(() => stream.remove(seq), false),
      last: async (subject, from) => {
        const found = await unless(() => stream.last(subject, from), { kind: 'unknown' as const, why: 'no leader' })
        this.onRead(subject)
        return found
      },
      records: async (filter, limit, from) => {
        const found = await unless(() => stream.records(filter, limit, from), undefined)
        return found?.map((record) => ({ ...record, at: record.at + (record.payload.includes('gonei') ? this.setBackMs : 0) }))
      },
    }
  }
  async two() {
    const [a, b] = [this.process('a'), this.process('b')]
    await this.clock.pass(60_000)
    assert.equal(a.serves() + b.serves(), 64)
    assert.ok(a.serves() > 15 && b.serves() > 15, 'each its share')
    return { a, b, lostBefore: a.lost.length + b.lost.length }
  }
}

describe('a lane', () => {
  it('is served by 1 process and not by 2 in the moment in which a machine wakes after 30 s in which its monotonic clock stood still', async () => {
    const world = new World()
    const { a, b } = await world.two()
    await a.suspend(30_000)
    assert.deepEqual([a.serves(), b.serves()], [0, 64])
    a.wake()
    await world.clock.pass(60_000)
    assert.equal(a.serves() + b.serves(), 64)
  })

  // what a server had removed, and has again after it was killed: nothing expires there any more
  const strayLease = (world: World, lane: number) => world.stream.view().publish({ subject: createSubjects('o').own(lane), payload: Buffer.from(JSON.stringify({ pod: 'gone', incarnation: 'gonei' })) })

  it('is taken within a minute though a lease of a process that is gone lies there and never expires', async () => {
    const world = new World()
    void strayLease(world, 7)
    const a = world.process('a')
    await world.clock.pass(60_000)
    assert.equal(a.serves(), 64)
  })

  it("is taken within a minute though a lease of a process that is gone was written before the servers' clock was set back by 2 hours, and lasts for so long", async () => {
    const world = new World()
    world.setBackMs = 7_200_000
    const a = world.process('a')
    await world.clock.pass(60_000)
    void strayLease(world, 7)
    a.own.lost(a.own.tenureOf(7)!, 'as if its owner were another')
    await world.clock.pass(60_000)
    assert.equal(a.serves(), 64)
  })

  it('stays with its owner though after an outage such a lease of another process lies there', async () => {
    const world = new World()
    const a = world.process('a')
    await world.clock.pass(60_000)
    a.link.isUp = false
    await world.clock.pass(15_000)
    void strayLease(world, 7)
    await world.clock.pass(60_000)
    a.link.isUp = true
    await world.clock.pass(30_000)
    assert.deepEqual([a.lost, a.serves()], [[], 64])
  })

  it('stays for 30 s with who took it, though a process that came later should have it', async () => {
    const world = new World()
    const a = world.process('a')
    await world.clock.pass(5_000)
    assert.equal(a.serves(), 64)
    const b = world.process('b')
    await world.clock.pass(24_000)
    assert.deepEqual([a.serves(), b.serves()], [64, 0])
    await world.clock.pass(10_000)
    assert.ok(b.serves() > 15, `${b.serves()}`)
    assert.equal(a.serves() + b.serves(), 64)
  })

  it('whose reader stands still is not renewed, and the other process has all 64 within 40 s, heartbeats or not', async () => {
    const world = new World()
    const { a, b } = await world.two()
    a.reader.alive = false
    await world.clock.pass(40_000)
    assert.deepEqual([a.serves(), b.serves()], [0, 64])
    assert.deepEqual([a.own.lanes().length, b.own.lanes().length], [0, 64], 'who lost them knows, and answers no orders for them')
    a.reader.alive = true
    await world.clock.pass(60_000)
    assert.equal(a.serves() + b.serves(), 64)
    assert.ok(a.serves() > 15, `${a.serves()}`)
  })

  it('costs nothing where all 64 leases lapse in 14 s without a leader: who had it goes on, 0 are lost', async () => {
    const world = new World()
    const { a, b, lostBefore } = await world.two()
    const before = [a.serves(), b.serves()]
    world.leaderless = true
    await world.clock.pass(14_000)
    assert.deepEqual([a.serves(), b.serves()], [0, 0], 'nothing is started on a lease this old')
    world.leaderless = false
    await world.clock.pass(8_000)
    assert.deepEqual([a.serves(), b.serves()], before)
    assert.equal(a.lost.length + b.lost.length, lostBefore)
  })

  it('costs nothing where both links are down for 14 s and one is back 2 s before the other: nobody is taken for dead while nobody could be heard', async () => {
    const world = new World()
    const { a, b, lostBefore } = await world.two()
    const before = [a.serves(), b.serves()]
    for (const { link } of [a, b]) link.isUp = false
    await world.clock.pass(14_000)
    b.link.isUp = true
    await world.clock.pass(2_000)
    a.link.isUp = true
    await world.clock.pass(8_000)
    assert.deepEqual([a.serves(), b.serves()], before)
    assert.equal(a.lost.length + b.lost.length, lostBefore)
  })

  it('goes to who is left, all 64 within 30 s, where the other died while the link was down, also if the link goes every 3 s for 1', async () => {
    const world = new World()
    const { a, b } = await world.two()
    for (const { link } of [a, b]) link.isUp = false
    await world.clock.pass(14_000)
    for (let second = 0; second < 30; second++) {
      b.link.isUp = second % 4 !== 3
      await world.clock.pass(1_000)
    }
    b.link.isUp = true
    await world.clock.pass(4_000)
    assert.equal(b.serves(), 64)
  })

  it('goes within 11 minutes also to a process that can write and hears nobody any more, not even itself', async () => {
    const world = new World()
    const { a, b } = await world.two()
    a.link.isUp = false
    b.link.isDeaf = true
    await world.clock.pass(660_000)
    assert.equal(b.serves(), 64)
  })

  it('is given up where another has taken it, and let the lease lapse, in the 400 ms between the look at it and the renewal', async () => {
    const world = new World()
    const a = world.process('a')
    await world.clock.pass(5_000)
    world.leaderless = true
    await world.clock.pass(14_000)
    world.onRead = (subject) => {
      if (subject !== 'o.epoch.7') return
      world.onRead = () => {}
      const payload = Buffer.from(JSON.stringify({ pod: 'b', incarnation: 'bi' }))
      void world.stream.view().batch([{ subject: 'o.own.7', payload, ttlSeconds: 0.1 }, { subject: 'o.epoch.7', payload }])
    }
    world.leaderless = false
    await world.clock.pass(6_000)
    assert.deepEqual(a.lost, [7])
    await world.clock.pass(30_000)
    assert.equal(a.serves(), 64)
  })

  it('that was let go, 1 lost answer later is not kept on under the old epoch, past which its owner would not read its own notes', async () => {
    const world = new World()
    const a = world.process('a')
    await world.clock.pass(60_000)
    a.link.purges = false
    const b = world.process('b')
    await world.clock.pass(60_000)
    assert.ok(a.lost.length > 15, 'handed over')
    assert.equal(new Set(a.gained.map(({ epoch }) => epoch)).size, a.gained.length)
    a.link.purges = true
    await world.clock.pass(90_000)
    assert.equal(a.serves() + b.serves(), 64)
    assert.ok(b.serves() > 15, 'b has its share in the end')
  })

  it('is let go at once by a process whose clock is 3 s off, and taken again when it is not', async () => {
    const world = new World()
    const { a, b } = await world.two()
    a.own.setSkewed(true, 3_000)
    await world.clock.pass(8_000)
    assert.deepEqual([a.serves(), b.serves()], [0, 64])
    a.own.setSkewed(false, 0)
    await world.clock.pass(60_000)
    assert.ok(a.serves() > 15, `${a.serves()}`)
  })
})
