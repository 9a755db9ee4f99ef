// The manual against the code: every file, log code and metric it names exists, and every one that exists is named.
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, it } from 'node:test'
import { Command } from 'commander'
import { standaloneCommand } from '../cli/standalone.ts'
import { testFiles } from './cluster/tools/test-files.ts'
import { disagreements } from './tools/rfc.ts'
import { logEvents } from '../operator/index.ts'
import { createOperatorMetrics } from '../operator/metrics.ts'
import { createMetrics, logCodes } from '../relay/report/index.ts'

const root = join(import.meta.dirname, '..')
const page = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8')
const firstCells = (text: string): string[] => [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell]) => cell!)

describe('the manual', () => {
  it('names in its map only files that exist, at least 10', () => {
    const named = [...page('map.md').matchAll(/`([a-z-]+\/[a-z0-9/-]+\.ts)`/g)].map(([, file]) => file!)
    assert.ok(named.length >= 10)
    assert.deepEqual(named.filter((file) => !existsSync(join(root, file))), [])
  })

  it('links only to files that exist, at least 20 times', () => {
    const pages = globSync(['*.md', 'docs/**/*.md', 'charts/**/*.md'], { cwd: root })
    const links = pages.flatMap((file) => [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g)].map(([, target]) => ({ file, target: target! })))
    assert.ok(links.length >= 20)
    assert.deepEqual(links.filter(({ file, target }) => !existsSync(join(root, dirname(file), target))).map(({ file, target }) => `${file}: ${target}`), [])
  })

  it('names each RFC that the code cites, and 0 that it does not', () => {
    assert.deepEqual(disagreements(), [])
  })

  it('has 1 row for each log code, and no other', () => {
    const [ofRelays = '', ofTheOperator = ''] = page('logs.md').split('## Of the operator')
    assert.deepEqual(firstCells(ofRelays).sort(), Object.keys(logCodes).sort())
    const rows = [...ofTheOperator.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].map(([, code, means]) => [code, means])
    assert.deepEqual(rows, Object.entries(logEvents))
  })

  it('has each code that a command of the runbooks looks for, at least 10', () => {
    const codes = [...Object.keys(logCodes), ...Object.keys(logEvents)]
    const sought = globSync('runbooks/*.md', { cwd: join(root, 'docs') }).flatMap((name) => [...page(name).matchAll(/\| grep (?:-E )?'?([A-Z_|]+)'?/g)].flatMap(([, codesOf]) => codesOf!.split('|').map((code) => ({ name, code }))))
    assert.ok(sought.length >= 10)
    assert.deepEqual(sought.filter(({ code }) => !codes.some((known) => (code.endsWith('_') ? known.startsWith(code) : known === code))), [])
  })

  it('has 1 row for each option of posthouse standalone but that for tests', () => {
    const program = new Command()
    standaloneCommand(program)
    const options = program.commands[0]!.options.map(({ long, short }) => (long === '--file' ? short! : long!)).filter((name) => name !== '--test-mx-port')
    assert.deepEqual(firstCells(page('standalone.md')).map((cell) => cell.split(' ')[0]!).sort(), options.sort())
  })

  it('has 1 row for each metric, and no other', async () => {
    const all = await Promise.all([createMetrics(), createOperatorMetrics('a/b')].map(({ registry }) => registry.getMetricsAsJSON()))
    const ours = all.flat().map(({ name }) => name).filter((name) => name.startsWith('posthouse_'))
    assert.deepEqual(firstCells(page('metrics.md')).sort(), ours.sort())
  })
})

it('0 test files are left out by both npm test and npm run test:cluster', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { unit: string } }
  const globs = [...scripts.unit.matchAll(/"([^"]*\.test\.ts)"/g)].map(([, glob]) => glob!)
  const run = new Set([...globSync(globs, { cwd: root }), ...testFiles().map((file) => relative(root, file))])
  const all = globSync('{bin,charts,cli,crds,operator,relay,test,examples,docs}/**/*.test.ts', { cwd: root })
  assert.ok(all.length > 150, String(all.length))
  assert.deepEqual(all.filter((file) => !run.has(file)), [])
})
