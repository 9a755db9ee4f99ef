import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findNatsServer, recentEnough } from './find-nats-server.ts'
import { endLeftOver, lockFolder } from './lock.ts'
import { freePort, startNats } from './nats-process.ts'

const inFolder = async (work: (folder: string) => Promise<void> | void) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-lock-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const root = join(import.meta.dirname, '..', '..')
const standalone = (...args: string[]) => spawnSync(process.execPath, ['bin/posthouse.mjs', 'standalone', '-f', 'examples/quickstart', ...args], { cwd: root, encoding: 'utf8' })

describe('the data folder of a standalone relay', () => {
  it('is held by 1 process at a time, and free again after', () =>
    inFolder((folder) => {
      const unlock = lockFolder(folder)
      assert.throws(() => lockFolder(folder), /is in use by process \d+: stop it, or name another folder/)
      unlock()
      lockFolder(folder)()
    }))

  it('is left as it is, 1 file, by a second one that is started on it', () =>
    inFolder((folder) => {
      const holder = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)', 'posthouse'])
      try {
        writeFileSync(join(folder, 'lock'), String(holder.pid))
        const { status, stderr } = standalone('--data', folder, '--listen', 'mx=127.0.0.1:4525')
        assert.deepEqual([status, stderr, readdirSync(folder)], [2, `${folder} is in use by process ${holder.pid}: stop it, or name another folder with --data\n`, ['lock']])
      } finally {
        holder.kill()
      }
    }))

  it('that cannot be made is told in 1 line, and so are --listen for no listener and --nats-server for no file', () =>
    inFolder((folder) => {
      writeFileSync(join(folder, 'file'), '')
      assert.match(standalone('--data', join(folder, 'file/data')).stderr, /^--data .*file\/data: ENOTDIR: not a directory.*\n$/)
      assert.match(standalone('--data', join(folder, 'data'), '--listen', 'mix=127.0.0.1:4525').stderr, /^--listen mix=127\.0\.0\.1:4525: no such listener; MailRelay mail\/main has mx, submission\n$/)
      assert.ok(!readdirSync(join(folder, 'data')).includes('lock'))
      assert.match(standalone('--data', join(folder, 'data'), '--nats-server', '/nowhere').stderr, /^--nats-server \/nowhere: there is no such file; it names a nats-server 2\.15 or newer\n$/)
    }))

  it('is taken over from a process that died, and from 1 with a reused number', () =>
    inFolder(async (folder) => {
      const child = spawn('sleep', ['30'])
      try {
        writeFileSync(join(folder, 'lock'), String(child.pid)) // alive, but no Posthouse
        lockFolder(folder)()
      } finally {
        child.kill()
      }
      writeFileSync(join(folder, 'lock'), '999999999')
      lockFolder(folder)()
    }))

  it('loses the nats-server that a killed standalone left on it, and no other', () =>
    inFolder(async (folder) => {
      const { path: binary } = await findNatsServer()
      const ours = await startNats({ binary, folder: join(folder, 'ours'), port: await freePort(), monitorPort: await freePort() })
      const other = await startNats({ binary, folder: join(folder, 'other'), port: await freePort(), monitorPort: await freePort() })
      try {
        await endLeftOver(join(folder, 'ours'))
        await ours.exited // would wait for ever, and fail by the time limit, where it was not ended
        assert.equal(await Promise.race([other.exited, Promise.resolve('alive')]), 'alive')
      } finally {
        await other.stop()
      }
    }))
})

describe('the nats-server used', () => {
  it('is 2.15 or newer, whatever the digits look like', () => {
    for (const [version, good] of [['2.15.0', true], ['2.15.1', true], ['2.100.0', true], ['3.0.0', true], ['2.14.9', false], ['2.9.25', false], ['1.15.0', false]] as const)
      assert.equal(recentEnough(version), good, version)
  })
})
