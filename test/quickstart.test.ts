// The first two minutes of a newcomer: `npm start`, and the three lines it prints, run as they stand.
import assert from 'node:assert/strict'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { freePort } from '../cli/standalone/nats-process.ts'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'posthouse-quickstart-'))
const data = join(folder, 'data')
const manifests = join(folder, 'manifests')
const socket = `--socket ${join(data, 'admin.sock')}`
let child: ChildProcess
let printed = ''

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 1200, `waited 60 s for ${what}; printed so far:\n${printed}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** The quickstart itself, with its sink's port changed to a free one so that tests can run side by side. */
const copyManifests = (sink: number): void => {
  cpSync(join(root, 'examples', 'quickstart'), manifests, { recursive: true })
  const file = join(manifests, 'sink.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('2626', String(sink)))
}

const start = async (sink: number): Promise<void> => {
  printed = ''
  const [mx, submission, http] = [await freePort(), await freePort(), await freePort()]
  const ports = ['--listen', `mx=127.0.0.1:${mx}`, '--listen', `submission=127.0.0.1:${submission}`, '--http', `127.0.0.1:${http}`, '--sink', `127.0.0.1:${sink}`]
  child = spawn('npm', ['start', '--', '-f', manifests, '--data', data, ...ports], { cwd: root, detached: true })
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (piece) => (printed += String(piece)))
  await until('the last line of the banner', () => printed.includes('Ctrl-C drains and stops'))
}

/** As a terminal does it: the signal goes to npm and to what npm started. */
const interrupt = async (): Promise<void> => {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  process.kill(-child.pid!, 'SIGINT')
  await ended
}

const paste = (line: string): Promise<{ code: number; out: string }> =>
  new Promise((resolve) => {
    execFile('sh', ['-c', line], { cwd: root }, (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out: out + err }))
  })

const tries = (): string[] => [...printed.matchAll(/^ +\$ (.+)$/gm)].map(([, line]) => line!)

describe('npm start', () => {
  let sink = 0
  before(async () => {
    sink = await freePort()
    copyManifests(sink)
    await start(sink)
  })
  after(async () => {
    await interrupt()
    rmSync(folder, { recursive: true, force: true })
  })

  it('prints 3 lines to try, the same as the README, but for ports', () => {
    assert.equal(tries().length, 3)
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const plain = (line: string) => line.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:2525').replace(/ --socket .*/, '')
    for (const line of tries()) assert.ok(readme.includes(plain(line)), `not in the README: ${plain(line)}`)
  })

  it('1: refuses the stranger and names the rule', async () => {
    const { out } = await paste(tries()[0]!)
    assert.match(out, /< 550 5\.7\.1 Relaying denied.*\(MailRelay mail\/main, rule default-deny\)/)
  })

  it('2: takes a mail, and prints its arrival', async () => {
    const { out, code } = await paste(tries()[1]!)
    assert.equal(code, 0)
    assert.match(out, /< 250 2\.0\.0 queued as \S+/)
    await until('the arrival', () => /arrived: .*hello@sink\.example.*"first mail"/.test(printed))
  })

  it('3: tells what happened to it, in 2 events', async () => {
    const { out, code } = await paste(tries()[2]!)
    assert.equal(code, 0)
    assert.match(out, /accepted[\s\S]*delivered[\s\S]*250 2\.0\.0/)
  })

  it('goes on at the 2nd start with what was queued at the 1st', async () => {
    await interrupt()
    await start(await freePort()) // nobody listens where the manifests send their mail
    const { out } = await paste(tries()[1]!)
    const id = /queued as (\S+)/.exec(out)![1]!
    await interrupt()
    await start(sink)
    const { out: listed } = await paste(`npx posthouse queue list --json ${socket}`)
    assert.ok(listed.includes(id) || printed.includes('arrived: '), `neither queued nor arrived: ${listed}`) // on a slow machine its time may have come before the list
    await paste(`npx posthouse queue retry ${id} ${socket}`)
    await until('the arrival', () => printed.includes('arrived: '))
  })
})
