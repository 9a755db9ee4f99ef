import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { findNatsServer } from './find-nats-server.ts'
import { freePort, startNats } from './nats-process.ts'

test('the server writes before it answers, and does not stop at three quarters of the free disk: its limit is above 900 GB', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-nats-process-'))
  const { path: binary } = await findNatsServer()
  const nats = await startNats({ binary, folder, port: await freePort(), monitorPort: await freePort() })
  t.after(async () => {
    await nats.stop('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const { config } = (await (await fetch(`${nats.monitorUrl}/jsz?config=1`)).json()) as { config: { sync_always: boolean; max_storage: number } }
  assert.equal(config.sync_always, true)
  assert.ok(config.max_storage > 900e9, String(config.max_storage))
})

test('2 processes that ask at the same time for 1,000 free ports each are never given the same one', async () => {
  const asked = `import { freePort } from ${JSON.stringify(join(import.meta.dirname, 'nats-process.ts'))}
const ports = []
for (let count = 0; count < 1000; count++) ports.push(await freePort())
process.stdout.write(ports.join(' '))
await new Promise((resolve) => process.stdin.resume().once('end', resolve))`
  const ask = () => {
    const running = promisify(execFile)(process.execPath, ['--input-type=module', '-e', asked])
    const answered = new Promise<void>((resolve) => running.child.stdout!.once('data', () => resolve()))
    return { running, answered }
  }
  const both = [ask(), ask()]
  await Promise.all(both.map(({ answered }) => answered))
  for (const { running } of both) running.child.stdin!.end()
  const ports = await Promise.all(both.map(async ({ running }) => (await running).stdout.split(' ')))
  assert.deepEqual(ports.map(({ length }) => length), [1000, 1000])
  assert.equal(new Set(ports.flat()).size, 2000)
})

test('who connects to the name by which a free port is kept is let go: 0 connections of strangers stay', { skip: process.platform !== 'linux' && 'only Linux has such names' }, async (t) => {
  const stranger = connect({ path: `\0posthouse-port-${await freePort()}`, allowHalfOpen: true })
  t.after(() => stranger.destroy())
  await once(stranger.resume(), 'end', { signal: AbortSignal.timeout(20_000) })
})

test('a server that cannot start says why in 1 message, in the last words of its log', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-nats-process-'))
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  t.after(() => {
    taken.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const { port } = taken.address() as { port: number }
  const { path: binary } = await findNatsServer()
  await assert.rejects(startNats({ binary, folder, port: await freePort(), monitorPort: port }), /did not start on port \d+: .*address already in use/)
  await assert.rejects(startNats({ binary: join(folder, 'missing'), folder, port: await freePort(), monitorPort: await freePort() }), /did not start on port \d+: .*missing ENOENT/)
})
