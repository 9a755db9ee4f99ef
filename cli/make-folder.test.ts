import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Failure } from './failure.ts'
import { makeFolder } from './make-folder.ts'

test('2 folders that are not there are made with the mode asked for, and nothing happens the second time', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'posthouse-folder-'))
  t.after(() => rmSync(home, { recursive: true }))
  const folder = join(home, 'a', 'b')
  for (let turn = 0; turn < 2; turn++) makeFolder(folder, '--data', 0o700)
  assert.deepEqual([folder, join(home, 'a')].map((one) => statSync(one).mode & 0o777), [0o700, 0o700])
  makeFolder(`${join(home, 'c', 'd')}/`, '--data')
  assert.ok(existsSync(join(home, 'c', 'd')))
  writeFileSync(join(home, 'file'), '')
  for (const wrong of ['file', 'file/below']) assert.throws(() => makeFolder(join(home, wrong), '--data x'), (error) => error instanceof Failure && error.exitCode === 2 && /^--data x: (EEXIST|ENOTDIR)/.test(error.message))
})

test('2 folders below /proc, which takes none, are refused at once', { skip: process.platform !== 'linux' }, () => {
  assert.throws(() => makeFolder('/proc/no/such', '--dir /proc/no/such'), (error) => error instanceof Failure && error.message.startsWith('--dir /proc/no/such: ENOENT'))
})

test('0 characters name no folder', () => assert.throws(() => makeFolder('', '--data '), Failure))
