// The screen of `posthouse status`, against a real admin socket with a made-up relay behind it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startAdmin } from '../relay/report/index.ts'
import type { Status } from '../relay/status.ts'
import { size } from './terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthouse-status-'))
const socket = join(folder, 'admin.sock')
const well: Status = {
  relay: 'MailRelay mail/main', pod: 'main-a', revision: 'r1', paused: false,
  ready: { ready: true, reason: 'ready' },
  durable: { ok: true, reason: 'Held', text: 'kept' },
  full: { is: false, bytes: 12_000_000, limit: 5_000_000_000, stopsAt: 4_000_000_000 },
  lanes: { served: 64, of: 64 },
  counts: { ready: 1, inFlight: 3, lanesOwned: 40, bytes: 12_000_000 },
  peers: [{ pod: 'main-a', revision: 'r1', lanes: 40 }, { pod: 'main-b', revision: 'r0', lanes: 24 }],
  backlog: { ready: 1, deferred: 7, held: 0, oldestReadyAt: 0, readyByDomain: true, domains: [{ domain: 'slow.example', ready: 1, deferred: 7, held: 0, why: 'Connect', said: '421 come back' }] },
  needs: [],
}
let told: Status = well
let close = async () => {}
before(async () => {
  close = (await startAdmin(socket, { status: async () => told })).close
})
after(async () => {
  await close()
  rmSync(folder, { recursive: true })
})

const status = (...args: string[]): Promise<{ code: number; out: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'status', '--socket', socket, ...args], (error, out) => resolve({ code: error ? Number(error.code) : 0, out }))
  })

describe('posthouse status', () => {
  it('says in 1 screen that all is well, and ends with 0', async () => {
    const asked = Date.now()
    told = { ...well, backlog: { ...well.backlog!, oldestReadyAt: asked - 5_000 } }
    const { code, out } = await status()
    const [, seconds] = /^due +the oldest since (\d+)s ago$/m.exec(out)!
    assert.ok(Number(seconds) >= 5 && Number(seconds) <= (Date.now() - asked) / 1000 + 6, out)
    assert.equal(code, 0)
    assert.ok(out.split('\n').length < 20)
    for (const line of [/^relay +MailRelay mail\/main, asked of main-a$/m, /^ready +yes$/m, /^durable +yes$/m, /^full +no: 12\.0 MB of 5\.0 GB; from 4\.0 GB on/m, /^waiting +1 ready, 7 deferred, 0 on hold; 3 being tried/m, /^lanes +64 of 64, by 2 processes: main-a 40, main-b 24$/m, /^snapshot +r1, in force in 1 of 2 processes$/m, /^paused +no$/m, /^1 +7 +0 +slow\.example +Connect: 421 come back$/m, /^all is well$/m]) assert.match(out, line)
  })

  it('ends with 1 where something needs a person, and names each thing', async () => {
    const { backlog: _, ...silent } = well
    told = { ...silent, ready: { ready: false, reason: 'the queue has been out of use for 70 s' }, paused: true, needs: ['one', 'two'] }
    const { code, out } = await status()
    assert.equal(code, 1)
    assert.match(out, /^ready +no: the queue has been out of use for 70 s$/m)
    assert.match(out, /^waiting +not known: the queue does not answer$/m)
    assert.match(out, /needs a person: one\nneeds a person: two\n$/)
    const json = await status('--json')
    assert.deepEqual([json.code, (JSON.parse(json.out) as Status).needs], [1, ['one', 'two']])
  })
})

it('a size is said in 1 unit of 5', () => {
  assert.deepEqual([0, 999, 1_000, 12_345_678, 5e9, 3e12].map(size), ['0 bytes', '999 bytes', '1.0 kB', '12.3 MB', '5.0 GB', '3.0 TB'])
})
