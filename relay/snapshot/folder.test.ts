import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { maxPartBytes, sealed, toParts, fromParts } from './parts.ts'
import { parseSnapshot, readSnapshot, revisionOf, watchSnapshot, writeSnapshot, type Snapshot } from './index.ts'

const snapshot = (senders: number, hostname = 'mx.posthouse.example'): Snapshot =>
  parseSnapshot({
    version: 1,
    relay: { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname, queue: 'mail-main', queueReplicas: 1, queueBytes: 1e9, retrySchedule: 'patient' },
    listeners: [{ name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 25, bindPort: 2525 }],
    senders: Array.from({ length: senders }, (_, n) => ({ namespace: 'shop', name: `s${n}`, manifest: `MailSender shop/s${n}`, listeners: ['mx'], from: [`*@s${n}.example`] })),
    schedules: [{ name: 'patient', manifest: 'RetrySchedule patient', attempts: [60], giveUpAfter: 3600 }],
  })

const inFolder = async (work: (folder: string) => Promise<void> | void) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-snapshot-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the snapshot on its way to a relay', () => {
  it('comes back the same from parts of at most 512 KiB, 5,000 senders included', () => {
    const { index, parts } = toParts(snapshot(5000))
    assert.ok(parts.size > 3)
    for (const text of parts.values()) assert.ok(Buffer.byteLength(text) <= maxPartBytes)
    assert.deepEqual(fromParts(index, (file) => parts.get(file)), snapshot(5000))
  })

  it('is refused when any 1 of its parts is missing or has 1 byte altered', () => {
    const { index, parts } = toParts(snapshot(3000))
    const files = [...parts.keys()]
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.option(fc.nat()), (hit, at) => {
        const altered = (text: string) => (at === null ? undefined : `${text.slice(0, at % text.length)}#${text.slice((at % text.length) + 1)}`)
        assert.throws(() => fromParts(index, (file) => (file === hit ? altered(parts.get(file)!) : parts.get(file))), { code: 'SNAPSHOT_INVALID' })
      }),
      { numRuns: 50 },
    )
  })

  it('is refused when its index has lost 1 of its parts, or says 1 thing else of the relay: it is not one of another release', () => {
    const { index, parts } = toParts({ ...snapshot(1), policies: [{ namespace: 'mail', name: 'p', manifest: 'RelayPolicy mail/p', mode: 'Enforce', targets: [{ kind: 'MailRelay' }], mayAllowSources: true, rules: [{ name: 'none', match: {}, action: 'Deny' }], limits: [] }] })
    const policies = [...parts].find(([, text]) => text.includes('"section":"policies"'))![0]
    for (const damaged of [{ ...index, parts: index.parts.filter(({ file }) => file !== policies) }, { ...index, relay: { ...index.relay, paused: true } }])
      assert.throws(() => fromParts(damaged, (file) => parts.get(file)), { code: 'SNAPSHOT_INVALID', message: /^the index is damaged/ })
  })

  it('is read by its parts where a release wrote it that knew 1 field less: that has its default, and the revision is the one that was written', () =>
    inFolder((folder) => {
      const [{ allowNullSender: _, ...older }] = snapshot(1).senders as [Snapshot['senders'][number]]
      const revision = writeSnapshot(folder, { ...snapshot(1), senders: [older as Snapshot['senders'][number]] })
      assert.deepEqual(readSnapshot(folder), { snapshot: snapshot(1), revision })
    }))

  it('is refused where it has 1 field, or 1 section, that this release does not know, by name: what it says would be passed over', () => {
    const [sender] = snapshot(1).senders as [Snapshot['senders'][number]]
    const newer = { ...snapshot(1), senders: [sender, { ...sender, onlyOn: ['Monday'] }] }
    const { index, parts } = toParts(newer)
    assert.throws(() => fromParts(index, (file) => parts.get(file)), { code: 'SNAPSHOT_INVALID', message: 'senders.1.onlyOn: this release does not know it; the one that wrote the snapshot does' })
    const [[file, text]] = [...parts].filter(([, one]) => one.includes('"section":"senders"')) as [[string, string]]
    const unknown = text.replace('"section":"senders"', '"section":"quotas"')
    const listed = index.parts.map((part) => (part.file === file ? { file, sha256: createHash('sha256').update(unknown).digest('hex') } : part))
    assert.throws(() => fromParts(sealed({ ...index, parts: listed }), (one) => (one === file ? unknown : parts.get(one))), { message: /^quotas: this release does not know it/ })
  })

  it('has 1 revision however its keys are ordered, and another when 1 value changes', () => {
    const one = snapshot(2)
    const shuffled = Object.fromEntries(Object.entries(one).reverse()) as Snapshot
    assert.equal(revisionOf(shuffled), revisionOf(one))
    assert.notEqual(revisionOf(snapshot(2, 'mx2.posthouse.example')), revisionOf(one))
  })

  it('is written with mode 0600 and leaves no part of the 1st revision beside the 2nd', () =>
    inFolder((folder) => {
      writeSnapshot(folder, snapshot(2000))
      const revision = writeSnapshot(folder, snapshot(1))
      assert.equal(readSnapshot(folder).revision, revision)
      assert.deepEqual(readdirSync(folder).length, 1 + toParts(snapshot(1)).parts.size)
      for (const file of readdirSync(folder)) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600)
    }))

  it('tells a watcher of 1 sound change and 1 broken one, and keeps quiet otherwise', () =>
    inFolder(async (folder) => {
      const inForce = writeSnapshot(folder, snapshot(1))
      const heard: string[] = []
      const watch = watchSnapshot(folder, inForce, (_, revision) => void heard.push(revision), (error) => heard.push(error.message), 10)
      const next = async (count: number) => {
        for (let tries = 0; heard.length < count && tries < 1000; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
      }
      const revision = writeSnapshot(folder, snapshot(2))
      await next(1)
      writeFileSync(join(folder, 'index.json'), '{"half')
      await next(2)
      await watch.stop()
      assert.equal(heard.length, 2)
      assert.equal(heard[0], revision)
      assert.match(heard[1]!, /not JSON/)
    }))

  it('tells a watcher once that the index cannot be read, and takes the 2nd revision when it can', () =>
    inFolder(async (folder) => {
      const inForce = writeSnapshot(folder, snapshot(1))
      const heard: string[] = []
      const watch = watchSnapshot(folder, inForce, (_, revision) => void heard.push(revision), (error) => heard.push(error.message), 10)
      const until = async (what: RegExp) => {
        for (let tries = 0; !what.test(heard.at(-1) ?? '') && tries < 1000; tries++) await new Promise((resolve) => setTimeout(resolve, 10))
      }
      rmSync(join(folder, 'index.json'))
      mkdirSync(join(folder, 'index.json')) // root may read everything: this fails for root as well
      await until(/EISDIR/)
      await new Promise((resolve) => setTimeout(resolve, 100))
      rmSync(join(folder, 'index.json'), { recursive: true })
      const revision = writeSnapshot(folder, snapshot(2))
      await until(new RegExp(revision))
      await watch.stop()
      assert.deepEqual([heard.length, heard[1]], [2, revision])
    }))

  it('tells a watcher of the 2nd revision though it was written before the 1st look, between the reading and the watching', () =>
    inFolder(async (folder) => {
      const inForce = writeSnapshot(folder, snapshot(1))
      const revision = writeSnapshot(folder, snapshot(2))
      const heard: string[] = []
      const watch = watchSnapshot(folder, inForce, (_, told) => void heard.push(told), (error) => heard.push(error.message), 10)
      await new Promise((resolve) => setTimeout(resolve, 200))
      await watch.stop()
      assert.deepEqual(heard, [revision])
    }))

  it('tells a watcher again of what it could not take, with 1 complaint for 2 refusals, and never of 2 changes at a time', () =>
    inFolder(async (folder) => {
      const inForce = writeSnapshot(folder, snapshot(1))
      const heard: string[] = []
      let [tries, atOnce, most] = [0, 0, 0]
      const changed = async (_: Snapshot, told: string) => {
        most = Math.max(most, ++atOnce)
        await new Promise((resolve) => setTimeout(resolve, 50))
        atOnce--
        if (++tries < 3) throw new Error('port 2525 is in use')
        heard.push(told)
      }
      const watch = watchSnapshot(folder, inForce, changed, (error) => heard.push(error.message), 5)
      const revision = writeSnapshot(folder, snapshot(2))
      for (let waits = 0; heard.length < 2 && waits < 1000; waits++) await new Promise((resolve) => setTimeout(resolve, 10))
      await watch.stop()
      assert.deepEqual([heard, tries, most], [['port 2525 is in use', revision], 3, 1])
    }))
})
