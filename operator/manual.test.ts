import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { worthTelling } from './plan/conditions/news.ts'
import { observedReasons, problemCodes, reasons, waitingFields } from './index.ts'

const manual = readFileSync(join(import.meta.dirname, '../docs/conditions.md'), 'utf8')

test('docs/conditions.md lists every reason and every code with its meaning, and none that is not there', () => {
  const rows = [...manual.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, name, text]) => [name, text])
  assert.deepEqual(rows, [...Object.entries(reasons), ...Object.entries(observedReasons), ...Object.entries(problemCodes)])
})

test('docs/conditions.md names every field that waits for a later release', () => {
  for (const { kind, field } of waitingFields) assert.ok(manual.includes(`\`${kind}\` ${field}`), `${kind} ${field}`)
})

test('docs/conditions.md names each of the 8 conditions beside refusals that become an Event', () => {
  const [events] = /^.*Other events: .*$/m.exec(manual)!
  assert.equal(worthTelling.size, 8)
  for (const reason of worthTelling) assert.ok(events.includes(`\`${reason}\``), reason)
})
