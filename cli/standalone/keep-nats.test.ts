import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../../test/tools/until.ts'
import { findNatsServer } from './find-nats-server.ts'
import { keepNats } from './keep-nats.ts'
import { freePort } from './nats-process.ts'

test('a nats-server that is killed 2 times runs again on its ports, and each time 2 lines say so; one that is stopped stays away', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-keep-nats-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const said: string[] = []
  const { path: binary } = await findNatsServer()
  const nats = await keepNats({ binary, folder, port: await freePort(), monitorPort: await freePort() }, (line) => said.push(line))
  t.after(() => nats.stop('SIGKILL'))
  const pid = (): number => Number(readFileSync(join(folder, 'nats.pid'), 'utf8'))
  const answers = async (): Promise<boolean> => (await fetch(`${nats.monitorUrl}/healthz`).catch(() => undefined))?.ok === true
  for (const times of [1, 2]) {
    const before = pid()
    process.kill(before, 'SIGKILL')
    await until('it to run again', async () => said.length === 2 * times && pid() !== before && (await answers()), 60_000, 50)
  }
  assert.deepEqual(said.map((line) => line.replace(/;.*/, '')), ['nats-server ended (killed)', 'nats-server runs again', 'nats-server ended (killed)', 'nats-server runs again'])
  await nats.stop()
  assert.deepEqual([await answers(), said.length], [false, 4])
})
