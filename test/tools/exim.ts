// A private Exim on loopback, from the system or from the packages that .ci/run unpacked into the cache; takes everything into files.
import { chownSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { cacheFolder } from '../../cli/standalone/find-nats-server.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startChild } from './child.ts'
import { until } from './until.ts'

const binary = (): string | undefined => ['/usr/sbin/exim4', join(cacheFolder(), 'debian', 'usr/sbin/exim4')].find((path) => existsSync(path))

/** There, able to start, and with the user it was built for. */
export const eximIsHere = (): boolean => {
  const exim = binary()
  try {
    if (exim !== undefined) execFileSync(exim, ['-bV', '-C', '/dev/null'], { stdio: 'ignore', timeout: 10_000 })
    return exim !== undefined
  } catch {
    return false
  }
}

export type Exim = { readonly port: number; log(): string; mails(): string[]; stop(): Promise<void> }

export const startExim = async (options: { folder: string; hostname?: string }): Promise<Exim> => {
  const exim = binary()
  if (exim === undefined) throw new Error('exim4 is not here')
  const port = await freePort()
  const { folder } = options
  const user = Number(execFileSync('id', ['-u', 'Debian-exim'], { encoding: 'utf8' }))
  for (const name of ['', 'spool', 'log', 'mail']) {
    mkdirSync(join(folder, name), { recursive: true, mode: 0o755 })
    chownSync(join(folder, name), user, -1)
  }
  const config = join(folder, 'exim.conf')
  writeFileSync(config, eximConf(folder, port, options.hostname ?? 'exim.example'), { mode: 0o644 })
  const child = startChild(exim, ['-C', config, '-bdf', '-q30s'], { log: join(folder, 'exim.out') })
  const log = (): string => (existsSync(join(folder, 'log/mainlog')) ? readFileSync(join(folder, 'log/mainlog'), 'utf8') : '')
  await until('exim to listen', () => log().includes('daemon started') && child.running(), 20_000)
  const mails = (): string[] => readdirSync(join(folder, 'mail')).filter((name) => name.startsWith('m.')).map((name) => readFileSync(join(folder, 'mail', name), 'latin1'))
  return { port, log, mails, stop: async () => void (await child.stop()) }
}

// no set-uid binary: deliveries run as the one user the daemon drops to
const eximConf = (folder: string, port: number, hostname: string): string => `
deliver_drop_privilege = true
keep_environment =
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
pid_file_path = ${folder}/spool/exim.pid
primary_hostname = ${hostname}
daemon_smtp_ports = ${port}
local_interfaces = 127.0.0.1
tls_advertise_hosts =
smtp_accept_max = 200
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
begin acl
check_rcpt:
  deny message = no such user here
       local_parts = nobody
  accept
begin routers
all:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  file = ${folder}/mail/m.$message_exim_id
`
