// The list of scenarios itself: numbers used once, what is needed known, the manifests as a user could apply them.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runChild } from '../tools/child.ts'
import { catalogue, named } from './catalogue.ts'
import { missing, needs } from './needs.ts'

const all = await catalogue()
const runner = join(import.meta.dirname, 'run.ts')

test('23 scenarios and more, each number once, each with a title and a story of known needs', () => {
  assert.ok(all.length >= 23)
  const numbers = all.map(({ name }) => name.slice(0, 4))
  assert.equal(new Set(numbers).size, numbers.length)
  for (const { name, story } of all) {
    assert.ok(story.title.length > 20, name)
    for (const need of story.needs) assert.ok(needs[need].install.length > 0, name)
  }
})

test('s-08 names one scenario, s-0 none', () => {
  assert.equal(named(all, 's-08').length, 1)
  assert.equal(named(all, 's-0').length, 0)
})

test('no manifest of a scenario holds a path or a secret of the machine it was written on', () => {
  for (const { name, home } of all)
    for (const file of readdirSync(home).filter((entry) => entry.endsWith('.yaml'))) assert.doesNotMatch(readFileSync(join(home, file), 'utf8'), /\/(root|home|work)\/|PRIVATE KEY/, name)
})

test('what is missing is asked once and named', () => {
  const known = new Map([['postfix', false], ['swaks', true]] as const)
  assert.deepEqual(missing(['postfix', 'swaks'], new Map(known)), ['postfix'])
})

test('an unknown scenario ends with 2, the list with 0, and names every scenario', async () => {
  const unknown = await runChild(process.execPath, [runner, 's-99'], { mayFail: true })
  assert.equal(unknown.code, 2)
  const list = await runChild(process.execPath, [runner])
  for (const { name } of all) assert.ok(list.output.includes(name.slice(0, 4)), name)
})

test('with CI=true a scenario that cannot run here is a failure, without it is skipped', async () => {
  // an empty PATH hides swaks, openssl and perl; without root Postfix is hidden anyway
  const run = (CI: string) => runChild(process.execPath, [runner, 's-13'], { mayFail: true, env: { CI, PATH: '' } })
  const [strict, lax] = [await run('true'), await run('')]
  assert.equal(strict.code, 1, strict.output)
  assert.match(strict.output, /^0 passed, 1 failed, 0 skipped$/m)
  assert.equal(lax.code, 0, lax.output)
  assert.match(lax.output, /^0 passed, 0 failed, 1 skipped$/m)
})
