// What every command has in common: mistakes in its words, and an output that nobody reads or that has no room.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import packageJson from '../package.json' with { type: 'json' }

const root = join(import.meta.dirname, '..')
const shell = (line: string): { status: number | null; stdout: string; stderr: string } =>
  spawnSync('bash', ['-c', `set -o pipefail; posthouse() { "$NODE" bin/posthouse.mjs "$@"; }; ${line}`], { cwd: root, encoding: 'utf8', env: { ...process.env, NODE: process.execPath, LC_ALL: 'C' } }) // bash warns of a language that this machine has not

describe('every command', () => {
  it('keeps its exit code, 0 or 1, and says nothing where its reader went away', () => {
    for (const [line, code] of [['check -f examples/quickstart', 0], ['--help', 0], ['can-send -f examples/cluster --as stranger --from a@far.example --to b@far.example', 1]] as const) {
      const { status, stderr } = shell(`posthouse ${line} | true`)
      assert.deepEqual([status, stderr], [code, ''], line)
    }
  })

  it('ends with 2 and 1 line where its output has no room', { skip: !existsSync('/dev/full') }, () => {
    const { status, stderr } = shell('posthouse check -f examples/quickstart > /dev/full')
    assert.deepEqual([status, stderr], [2, 'the output could not be written: ENOSPC: no space left on device, write\n'])
  })

  it('points to its own help after a mistake in its words, 1 level down and 2', () => {
    assert.match(shell('posthouse why').stderr, /missing required argument 'id-or-domain'\n\(posthouse why --help says what it takes\)/)
    assert.match(shell('posthouse queue list --jsn').stderr, /Did you mean --json\?\)\n\(posthouse queue list --help says what it takes\)/)
    assert.match(shell('posthouse qeue').stderr, /Did you mean queue\?\)\n\(posthouse --help lists the commands\)/)
  })

  it('that reads manifests says what is wrong with them, in 2 commands besides check', () => {
    assert.equal(shell('posthouse can-send -f nowhere --as stranger --from a@far.example --to b@far.example').stderr, 'nowhere: error: no such file or folder\n1 mistake in nowhere: no verdict\n')
    assert.equal(shell('posthouse schedule quick -f nowhere').stderr, 'no RetrySchedule quick in nowhere\nnowhere: error: no such file or folder\n')
  })

  it('says in 1 line that a folder cannot be made', () => {
    const { status, stderr } = shell('posthouse sink --port 0 --dir package.json/mails')
    assert.deepEqual([status, stderr], [2, "--dir package.json/mails: ENOTDIR: not a directory, mkdir 'package.json/mails'\n"])
  })

  it('says the version in 3 ways', () => {
    for (const way of ['version', '--version', '-V']) assert.deepEqual(shell(`posthouse ${way}; echo $?`).stdout, `${packageJson.version}\n0\n`, way)
  })
})
