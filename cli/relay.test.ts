import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runChild } from '../test/tools/child.ts'

test('posthouse relay without a snapshot says so in 1 line and ends with 2', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-relay-'))
  try {
    const args = ['relay', '--snapshot', join(folder, 'none'), '--nats', 'nats://127.0.0.1:1', '--http', '127.0.0.1:0', '--socket', join(folder, 'admin.sock')]
    const { code, output } = await runChild(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), ...args], { mayFail: true })
    assert.equal(code, 2)
    assert.match(output.trim(), /^not started: .*index\.json is not there$/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
