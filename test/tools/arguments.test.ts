import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const run = (name: string, ...given: string[]) => spawnSync(process.execPath, [scripts[name]!.replace(/^node /, ''), ...given], { cwd: root, encoding: 'utf8' })

for (const name of ['scenario', 'test:cluster', 'soak', 'measure', 'bench'])
  test(`npm run ${name} answers an option that is not there with the usage and 2, and --help with the usage and 0`, () => {
    const wrong = run(name, '--nonsense')
    assert.equal(wrong.status, 2)
    assert.match(wrong.stderr, new RegExp(`^Unknown option '--nonsense'[^]*\n\nnpm run ${name} `))
    assert.doesNotMatch(wrong.stderr, /^ +at /m)
    const help = run(name, '--help')
    assert.deepEqual([help.status, help.stderr], [0, ''])
    assert.match(help.stdout, new RegExp(`^npm run ${name} `))
  })

for (const [name, given, why] of [
  ['bench', ['--only', 'speed'], /^--only speed: one of throughput, /],
  ['bench', ['--rounds', 'many'], /^--rounds many: a number above 0/],
  ['measure', ['--only', 'dsa'], /^--only dsa: one of ed25519, rsa/],
  ['measure', ['all'], /^count all: a number above 0/],
  ['soak', ['--minutes', '0'], /^--minutes 0: a number above 0/],
] as const)
  test(`npm run ${name} -- ${given.join(' ')} says what it takes, and exits with 2`, () => {
    const { status, stderr } = run(name, ...given)
    assert.equal(status, 2)
    assert.match(stderr, why)
  })
