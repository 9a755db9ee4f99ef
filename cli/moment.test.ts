import assert from 'node:assert/strict'
import { test } from 'node:test'
import { momentOf } from './moment.ts'
import { clock } from './terminal.ts'

test('a time as the CLI prints it is the same moment when it is given back, and 7 without a zone are of UTC, wherever a person sits', async (t) => {
  const before = process.env.TZ
  process.env.TZ = 'America/New_York'
  t.after(() => (before === undefined ? delete process.env.TZ : (process.env.TZ = before)))
  const at = Date.UTC(2026, 10, 30, 7, 11, 10)
  for (const text of [clock(at), '2026-11-30 07:11:10', '2026-11-30T07:11:10', '2026-11-30T07:11:10.000', '2026-11-30T02:11:10-05:00']) assert.equal(await momentOf(text, 0, 'back'), at, text)
  const minute = at - 10_000
  for (const text of ['2026-11-30 7:11', '2026/11/30 07:11', '30 Nov 2026 07:11', 'Nov 30, 2026 7:11 AM', 'Mon, 30 Nov 2026 02:11:00 -0500', '2026-11-30 02:11 EST']) assert.equal(await momentOf(text, 0, 'back'), minute, text)
  assert.equal(await momentOf('2026-11-30', 0, 'back'), Date.UTC(2026, 10, 30))
  assert.ok(Number.isNaN(await momentOf('at noon', 0, 'back')))
})
