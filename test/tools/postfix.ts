// A private instance of Debian's Postfix: its own configuration, queue and data, on loopback, without the system's service.
import { chmodSync, chownSync, closeSync, existsSync, fstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { runChild, startChild, type Child } from './child.ts'
import { until } from './until.ts'

export const postfixIsHere = (): boolean => ['postfix', 'smtp-source', 'smtp-sink', 'postconf'].every((name) => existsSync(`/usr/sbin/${name}`))

export type Postfix = {
  readonly port: number
  readonly folder: string
  /** The main.cf in force, as printed in reports. */
  readonly settings: Readonly<Record<string, string>>
  log(): string
  /** Number of messages in its queue. */
  queued(): Promise<number>
  flush(): Promise<void>
  stop(): Promise<void>
}

/** `settings` add to or replace the instance's own; `relayTo` is the next host for everything. */
export const startPostfix = async (options: { folder: string; relayTo?: number; settings?: Record<string, string>; smtpdProcesses?: number }): Promise<Postfix> => {
  const port = await freePort()
  const at = (name: string): string => join(options.folder, name)
  for (const name of ['etc', 'queue', 'data']) mkdirSync(at(name), { recursive: true, mode: 0o755 })
  openToPostfix(options.folder)
  chownSync(at('data'), idOf('postfix'), -1)
  const settings = { ...ownSettings(options.folder, options.relayTo), ...options.settings }
  writeFileSync(at('etc/main.cf'), Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`).join(''))
  writeFileSync(at('etc/master.cf'), masterCf(port, options.smtpdProcesses ?? 0))
  const postfix = (...args: string[]) => runChild('/usr/sbin/postfix', ['-c', at('etc'), ...args], { mayFail: true })
  const started = await postfix('start')
  const log = (): string => (existsSync(at('data/mail.log')) ? readFileSync(at('data/mail.log'), 'utf8') : '')
  if (started.code !== 0) throw new Error(`postfix does not start:\n${started.output}\n${log()}`)
  const stop = async (): Promise<void> => {
    await postfix('stop')
    await until('postfix to stop', async () => (await postfix('status')).code !== 0)
  }
  const killOnExit = (): void => abort(at('queue/pid/master.pid'))
  process.once('exit', killOnExit)
  return {
    port,
    folder: options.folder,
    settings,
    log,
    queued: async () => {
      const { stdout } = await runChild('/usr/sbin/postqueue', ['-c', at('etc'), '-j'])
      return stdout.split('\n').filter((line) => line.startsWith('{')).length
    },
    flush: async () => void (await runChild('/usr/sbin/postqueue', ['-c', at('etc'), '-f'])),
    stop: async () => {
      await stop()
      process.removeListener('exit', killOnExit)
    },
  }
}

/** smtp-sink on a free port of loopback: takes all mail and counts it. */
export type SmtpSink = { readonly port: number; messages(): number; stop(): Promise<void> }
export const startSmtpSink = async (): Promise<SmtpSink> => {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-sink-'))
  const counts = join(folder, 'counts') // a file: who reads them from a pipe is woken for each mail, and takes time from what is measured
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const sink = ['/usr/sbin/smtp-sink', '-c', '-m', '2000', ...asUser, `127.0.0.1:${port}`, '1000'] // -m: without it the 257th connection is not greeted
  const child: Child = startChild('/bin/sh', ['-c', 'exec "$@" > "$0"', counts, ...sink])
  await until('smtp-sink to listen', () => listens(port), 10_000, 20)
  const file = openSync(counts, 'r')
  return {
    port,
    messages: () => Number([...endOf(file).matchAll(/mesg=(\d+)\r/g)].at(-1)?.[1] ?? 0),
    stop: async () => {
      await child.stop()
      closeSync(file)
      rmSync(folder, { recursive: true })
    },
  }
}

const endOf = (file: number): string => {
  const end = Buffer.alloc(128)
  return end.toString('latin1', 0, readSync(file, end, 0, end.length, Math.max(0, fstatSync(file).size - end.length)))
}

const ownSettings = (folder: string, relayTo: number | undefined): Record<string, string> => ({
  compatibility_level: '3.6',
  queue_directory: join(folder, 'queue'),
  data_directory: join(folder, 'data'),
  maillog_file: join(folder, 'data', 'mail.log'),
  maillog_file_prefixes: folder,
  mail_owner: 'postfix',
  setgid_group: 'postdrop',
  myhostname: 'postfix.example',
  mydestination: '',
  mynetworks: '127.0.0.0/8',
  inet_interfaces: '127.0.0.1',
  inet_protocols: 'ipv4',
  alias_maps: '',
  alias_database: '',
  local_recipient_maps: '',
  smtpd_relay_restrictions: 'permit_mynetworks, reject',
  ...(relayTo !== undefined && { relayhost: `[127.0.0.1]:${relayTo}` }),
})

/** The services of Debian's master.cf that relaying needs, none in a chroot. */
const masterCf = (port: number, smtpdProcesses: number): string => `
127.0.0.1:${port} inet n - n - ${smtpdProcesses === 0 ? '-' : smtpdProcesses} smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

const idOf = (user: string): number => Number(execFileSync('id', ['-u', user], { encoding: 'utf8' }))

// its daemons run as another user and must be able to walk down to the queue
const openToPostfix = (folder: string): void => chmodSync(folder, 0o755)

const abort = (pidFile: string): void => {
  try {
    process.kill(-Number(readFileSync(pidFile, 'utf8')), 'SIGKILL')
  } catch {
    // gone already
  }
}

const listens = async (port: number): Promise<boolean> => {
  const { connect } = await import('node:net')
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}
