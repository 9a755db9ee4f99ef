import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { writeSnapshot } from '../relay/snapshot/index.ts'
import { runChild, startChild } from '../test/tools/child.ts'
import { compile } from './compile-manifests.ts'

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

test('posthouse relay refuses --listen for 1 listener that its snapshot lacks, as standalone does', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-relay-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { snapshots } = await compile({ manifests: join(import.meta.dirname, '..', 'examples', 'quickstart'), now: new Date() })
  writeSnapshot(folder, snapshots.get('mail/main')!)
  const args = ['relay', '--snapshot', folder, '--nats', 'nats://127.0.0.1:1', '--http', '127.0.0.1:0', '--socket', join(folder, 'admin.sock'), '--listen', 'mix=127.0.0.1:0']
  const { code, output } = await runChild(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), ...args], { mayFail: true })
  assert.deepEqual([code, output.trim()], [2, '--listen mix=127.0.0.1:0: no such listener; MailRelay mail/main has mx, submission'])
})

test('posthouse relay that gets 1 SIGTERM while it starts drains when it has started, and ends with 0', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-relay-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { snapshots } = await compile({ manifests: join(import.meta.dirname, '..', 'examples', 'quickstart'), now: new Date() })
  writeSnapshot(folder, snapshots.get('mail/main')!)
  const index = join(folder, 'index.json')
  renameSync(index, `${index}.whole`)
  execFileSync('mkfifo', [index]) // the start stands at it until somebody writes
  const listen = ['mx', 'submission'].flatMap((name) => ['--listen', `${name}=127.0.0.1:0`])
  const child = startChild(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'relay', '--snapshot', folder, '--nats', 'nats://127.0.0.1:1', '--http', '127.0.0.1:0', '--socket', join(folder, 'admin.sock'), ...listen])
  const pipe = await open(index, 'w') // there is a reader
  child.signal('SIGTERM')
  const whole = readFileSync(`${index}.whole`)
  renameSync(`${index}.whole`, index)
  await pipe.writeFile(whole).catch(() => {}) // nobody reads where it has gone
  await pipe.close()
  assert.equal(await child.exited, 0, child.output())
  assert.deepEqual(['START', 'STOP'].filter((code) => child.output().includes(`"${code}"`)), ['START', 'STOP'])
})

test('posthouse standalone on a port that is taken says which in 1 line, ends with 2, and leaves the folder free', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-taken-'))
  const taken = createServer()
  await new Promise<void>((resolve) => void taken.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = taken.address() as AddressInfo
    const listen = [`mx=127.0.0.1:${port}`, 'submission=127.0.0.1:0'].flatMap((one) => ['--listen', one])
    const args = ['standalone', '-f', join(import.meta.dirname, '..', 'examples', 'quickstart'), '--data', join(folder, 'data'), '--http', '127.0.0.1:0', ...listen]
    for (let time = 0; time < 2; time++) {
      const { code, output } = await runChild(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), ...args], { mayFail: true })
      assert.equal(code, 2)
      assert.match(output.replace(/^fetching nats-server .*\n/, '').trim(), new RegExp(`^not started: .*EADDRINUSE.*:${port}; another program listens there: end it, or name another address`)) // fetched where this is the first test that needs it
    }
  } finally {
    taken.close()
    rmSync(folder, { recursive: true })
  }
})
