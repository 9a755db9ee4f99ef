// The list of scenarios itself: numbers used once, what is needed known, the manifests as a user could apply them.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
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

test('a story that leaves 2 parts out says which where it passed, and the sum that 1 did', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'posthouse-stories-'))
  t.after(() => rmSync(home, { recursive: true }))
  for (const [name, run] of [['s-01-parts', "ctx.without('the first'); ctx.without('the second')"], ['s-02-whole', '']]) {
    mkdirSync(join(home, name!))
    writeFileSync(join(home, name!, 'story.ts'), `export const story = { title: 'told', needs: [], run: async (ctx) => { ${run} } }`)
  }
  const tell = (flags: object) => runChild(process.execPath, ['--input-type=module', '--eval', `import { runSuite } from ${JSON.stringify(join(import.meta.dirname, 'runner.ts'))}; process.exit(await runSuite(${JSON.stringify({ home, command: '', usage: '', atOnce: 1, flags, positionals: ['s-01', 's-02'] })}))`])
  const { output } = await tell({})
  assert.match(output, /^s-01  passed   told .*\n      passed without: the first; the second\ns-02  passed   told .*\n2 passed \(1 without a part\), 0 failed, 0 skipped$/m)
  const { stdout } = await tell({ json: true })
  assert.deepEqual((JSON.parse(stdout.slice(0, stdout.lastIndexOf(']') + 1)) as { without: string[] }[]).map(({ without }) => without), [['the first', 'the second'], []])
})

test('an unknown scenario ends with 2, the list with 0, and names every scenario', async () => {
  const unknown = await runChild(process.execPath, [runner, 's-99'], { mayFail: true })
  assert.equal(unknown.code, 2)
  const oneOfTwo = await runChild(process.execPath, [runner, 's-13', 's-99'], { mayFail: true, env: { CI: '', PATH: '' } })
  assert.equal(oneOfTwo.code, 2, oneOfTwo.output)
  assert.match(oneOfTwo.output, /^no scenario is called s-99;/m)
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
