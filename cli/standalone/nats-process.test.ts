import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
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
