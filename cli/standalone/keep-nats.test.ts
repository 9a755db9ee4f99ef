import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

/** A server as far as it is looked after: the first process of it says at /healthz that it is not well, or nothing, and does not end when it is told to. */
const unwellServer = (folder: string, error: string): string => {
  const binary = join(folder, 'server')
  writeFileSync(binary, `#!${process.execPath}
const fs = require('node:fs'), config = fs.readFileSync(process.argv[3], 'utf8')
const port = (name) => Number(new RegExp(name + ': 127.0.0.1:([0-9]+)').exec(config)[1])
const first = !fs.existsSync(${JSON.stringify(`${binary}.began`)})
fs.writeFileSync(${JSON.stringify(`${binary}.began`)}, '')
if (first) process.on('SIGTERM', () => {})
require('node:net').createServer((socket) => socket.on('error', () => {}).write('INFO {}\\r\\n')).listen(port('listen'), '127.0.0.1')
require('node:http').createServer((_, answer) => first && ${JSON.stringify(error)} === '' || answer.end(JSON.stringify(first ? { error: ${JSON.stringify(error)} } : { status: 'ok' }))).listen(port('http'), '127.0.0.1')
`, { mode: 0o700 })
  return binary
}

for (const error of ['JetStream stream X: write error: no space left on device', 'jetstream not enabled', ''])
  test(`a server that says ${error || 'nothing 6 times'}, and does not end by SIGTERM, is killed and runs again`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'posthouse-keep-nats-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const said: string[] = []
    const nats = await keepNats({ binary: unwellServer(folder, error), folder, port: await freePort(), monitorPort: await freePort() }, (line) => said.push(line), { lookEveryMs: 500, endsWithinMs: 300 })
    t.after(() => nats.stop('SIGKILL'))
    await until('it to run again', () => said.length >= 2, 60_000, 50)
    assert.deepEqual(said.slice(0, 2).map((line) => line.replace(/;.*/, '')), [error === '' ? 'nats-server does not answer at /healthz' : `nats-server cannot write (${error})`, 'nats-server runs again'])
  })
