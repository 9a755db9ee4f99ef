// A real API server for tests: etcd and kube-apiserver, and the controller manager where asked; ready in seconds, no root needed.
// Everything lies in a folder of its own and listens on loopback, or on the address it is given.
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateFor, newAuthority } from '../../../operator/index.ts'
import { urlHost } from '../../../relay/snapshot/index.ts'
import { freePort } from '../../../cli/standalone/nats-process.ts'
import { startChild, type Child } from '../../tools/child.ts'
import { sleep, until } from '../../tools/until.ts'
import { NotBuilt, programPath } from './build.ts'

/** Starts a program of the cluster; its output goes to `<name>.log` in the folder. */
export type Launch = (name: string, command: string, args: readonly string[]) => Child

export type ApiServerOptions = {
  /** Also the controllers: accounts of namespaces, garbage collection, what finishes a deletion. */
  readonly controllerManager?: boolean
  /**
   * Further programs that live with the API server, by name. Like the controllers they end when it is interrupted and start anew when it is back, as they do where they elect a
   * leader and lose their lease; one that ends by itself is started again, as a static pod is.
   */
  readonly beside?: (api: Pick<ApiServer, 'kubeconfigOf'>) => Readonly<Record<string, () => Child>>
  /** More flags for kube-apiserver. */
  readonly flags?: readonly string[]
  readonly folder?: string
  /** Where it listens; 127.0.0.1 where not said. */
  readonly address?: string
  readonly port?: number
  readonly launch?: Launch
  readonly serviceRange?: string
  /** Users beside the admin: name → groups. */
  readonly users?: Readonly<Record<string, readonly string[]>>
  readonly controllerFlags?: readonly string[]
}

export type ApiServer = {
  readonly url: string
  /** PEM, and the file that holds it. */
  readonly ca: string
  readonly caFile: string
  /** The admin's bearer token, of the group system:masters. */
  readonly token: string
  /** A kubeconfig of the admin. */
  readonly kubeconfig: string
  readonly folder: string
  /** A kubeconfig of one of `users`. */
  kubeconfigOf(user: string): string
  /** Ends kube-apiserver (SIGKILL where not said) and those that live with it; etcd keeps what it holds. */
  interrupt(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Starts it again, same address, same data, unless it runs; resolves when it is ready. */
  resume(): Promise<void>
  /** Keeps a copy of all that etcd holds; to be called when it is put in the place of what etcd then holds. Everything is stopped and started each time. */
  backUp(): Promise<() => Promise<void>>
  /** Suspends and continues the process: connections stay open and nothing answers. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

/** The programs that are not there: an empty list, or the line that says how to get them. */
export const apiServerLacks = (): string[] => {
  const lacks: string[] = []
  for (const program of ['kube-apiserver', 'etcd']) {
    try {
      programPath(program)
    } catch (error) {
      lacks.push((error as Error).message)
    }
  }
  return lacks
}

export const startApiServer = async (options: ApiServerOptions = {}): Promise<ApiServer> => {
  const lacks = apiServerLacks()
  if (lacks.length > 0) throw new NotBuilt(lacks.join('\n'))
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'posthouse-api-'))
  const launch = options.launch ?? onThisMachine(folder)
  const place = await makePlace(folder, options)
  const started: Child[] = []
  const data = join(folder, 'etcd')
  try {
    started.push(startEtcd(place, launch))
    const beside = { ...(options.controllerManager === true && { 'kube-controller-manager': () => startControllers(place, options, launch) }), ...options.beside?.(place) }
    const startAll = async (): Promise<{ server: Child; others: readonly Kept[] }> => {
      const server = await startServer(place, options, launch)
      return { server, others: Object.entries(beside).map(([name, start]) => keep(name, start)) }
    }
    const state = await startAll()
    const interrupt: ApiServer['interrupt'] = async (signal = 'SIGKILL') => {
      state.server.signal(signal)
      await Promise.all([state.server.exited, ...state.others.map((kept) => kept.end())])
    }
    const resume = async (): Promise<void> => void (state.server.running() || Object.assign(state, await startAll()))
    const whileStopped = async (work: () => void): Promise<void> => {
      await interrupt()
      await started.pop()!.stop(10_000)
      work()
      started.push(startEtcd(place, launch))
      await resume()
    }
    return {
      ...place,
      interrupt,
      resume,
      backUp: async () => {
        await whileStopped(() => cpSync(data, `${data}-kept`, { recursive: true }))
        return () => whileStopped(() => (rmSync(data, { recursive: true }), cpSync(`${data}-kept`, data, { recursive: true })))
      },
      freeze: () => state.server.signal('SIGSTOP'),
      thaw: () => state.server.signal('SIGCONT'),
      stop: async () => {
        await Promise.all([...state.others.map((kept) => kept.end()), ...[state.server, ...started].map(end)]) // nothing they hold is wanted any more
        if (options.folder === undefined) rmSync(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await Promise.all(started.map((child) => child.stop(1000)))
    throw error
  }
}

const end = (child: Child): Promise<unknown> => (child.signal('SIGKILL'), child.exited)

type Kept = { end(): Promise<unknown> }

const keep = (name: string, start: () => Child): Kept => {
  const state = { child: start(), wanted: true }
  const again = async (): Promise<void> => {
    const code = await state.child.exited
    if (!state.wanted) return
    console.error(`${name} ended by itself with ${code} and is started again; it said last:\n${lastWords(state.child)}`)
    await sleep(1000)
    if (!state.wanted) return
    state.child = start()
    void again()
  }
  void again()
  return { end: () => ((state.wanted = false), end(state.child)) }
}

/** Without what klog calls information. */
const lastWords = (child: Child): string => child.output().split('\n').filter((line) => !/^I\d{4} /.test(line)).slice(-25).join('\n')

/** Killed with us, where the system can promise that, even when we are killed. */
const onThisMachine = (folder: string): Launch => {
  const tied = process.platform === 'linux' && onPath('setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : []
  return (name, command, args) => {
    const [first, ...rest] = [...tied, command, ...args]
    return startChild(first!, rest, { log: join(folder, `${name}.log`) })
  }
}

type Place = Pick<ApiServer, 'url' | 'ca' | 'caFile' | 'token' | 'kubeconfig' | 'folder' | 'kubeconfigOf'> & {
  readonly address: string
  readonly port: number
  readonly etcd: { readonly client: string; readonly peer: string }
}

/** Certificates, tokens and kubeconfigs, each in a file of the folder. */
const makePlace = async (folder: string, options: ApiServerOptions): Promise<Place> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = (name: string, text: string): string => (writeFileSync(join(folder, name), text, { mode: 0o600 }), join(folder, name))
  const address = options.address ?? '127.0.0.1'
  const [free, client, peer] = await Promise.all([freePort(), freePort(), freePort()])
  const port = options.port ?? free
  const url = `https://${urlHost(address)}:${port}`
  const authority = newAuthority(new Date())
  const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost', '127.0.0.1', address, firstOf(options.serviceRange ?? defaultRange)]
  const pairs = { apiserver: certificateFor(names, authority, new Date()), 'kubelet-client': certificateFor(['kube-apiserver'], authority, new Date()) }
  for (const [name, { certificate, key }] of Object.entries(pairs)) {
    file(`${name}.crt`, certificate)
    file(`${name}.key`, key)
  }
  const caFile = file('ca.crt', authority.certificate)
  file('ca.key', authority.key)
  const account = generateKeyPairSync('rsa', { modulusLength: 2048 })
  file('accounts.key', account.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  file('accounts.pub', account.publicKey.export({ type: 'spki', format: 'pem' }) as string)
  const users: Record<string, readonly string[]> = { admin: ['system:masters'], 'system:kube-controller-manager': [], ...options.users }
  const tokens = Object.fromEntries(Object.keys(users).map((user) => [user, randomBytes(24).toString('hex')]))
  file('tokens.csv', Object.entries(users).map(([user, groups]) => `${tokens[user]},${user},${user},"${groups.join(',')}"\n`).join(''))
  for (const user of Object.keys(users)) file(`${fileName(user)}.kubeconfig`, kubeconfig(url, authority.certificate, user, tokens[user]!))
  const kubeconfigOf = (user: string): string => join(folder, `${fileName(user)}.kubeconfig`)
  const etcd = { client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` }
  return { url, ca: authority.certificate, caFile, token: tokens.admin!, kubeconfig: kubeconfigOf('admin'), folder, kubeconfigOf, address, port, etcd }
}

const defaultRange = '10.219.0.0/16'
/** The Service `kubernetes` has the first address of the range. */
const firstOf = (range: string): string => range.replace(/0?\/\d+$/, '1')
const fileName = (user: string): string => user.replaceAll(':', '-')

const kubeconfig = (server: string, ca: string, user: string, token: string): string =>
  `${JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'posthouse', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
      users: [{ name: user, user: { token } }],
      contexts: [{ name: 'posthouse', context: { cluster: 'posthouse', user } }],
      'current-context': 'posthouse',
    },
    undefined,
    2,
  )}\n`

/** Nothing here outlives the test, so nothing waits for a disk. */
const startEtcd = ({ folder, etcd }: Place, launch: Launch): Child => {
  const args = ['--data-dir', join(folder, 'etcd'), '--listen-client-urls', etcd.client, '--advertise-client-urls', etcd.client, '--listen-peer-urls', etcd.peer]
  return launch('etcd', programPath('etcd'), [...args, '--initial-advertise-peer-urls', etcd.peer, '--initial-cluster', `default=${etcd.peer}`, '--unsafe-no-fsync', '--log-level', 'warn'])
}

const startServer = async (place: Place, options: ApiServerOptions, launch: Launch): Promise<Child> => {
  const { folder, address, port, caFile, etcd } = place
  const flags = {
    'etcd-servers': etcd.client,
    'bind-address': address,
    'secure-port': String(port),
    'advertise-address': address,
    // an Endpoints object may not name loopback
    ...(address.startsWith('127.') && { 'endpoint-reconciler-type': 'none' }),
    'cert-dir': join(folder, 'apiserver'),
    'tls-cert-file': join(folder, 'apiserver.crt'),
    'tls-private-key-file': join(folder, 'apiserver.key'),
    'client-ca-file': caFile,
    'token-auth-file': join(folder, 'tokens.csv'),
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'service-cluster-ip-range': options.serviceRange ?? defaultRange,
    'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    'service-account-key-file': join(folder, 'accounts.pub'),
    'service-account-signing-key-file': join(folder, 'accounts.key'),
    'kubelet-client-certificate': join(folder, 'kubelet-client.crt'),
    'kubelet-client-key': join(folder, 'kubelet-client.key'),
    'kubelet-certificate-authority': caFile,
    'kubelet-preferred-address-types': 'InternalIP',
    profiling: 'false',
  }
  const server = launch('kube-apiserver', programPath('kube-apiserver'), [...asFlags(flags), ...(options.flags ?? [])])
  try {
    await untilReady(place, server)
    return server
  } catch (error) {
    await server.stop(1000)
    throw error
  }
}

const startControllers = ({ folder, caFile, kubeconfigOf }: Place, options: ApiServerOptions, launch: Launch): Child => {
  const flags = {
    kubeconfig: kubeconfigOf('system:kube-controller-manager'),
    'bind-address': '127.0.0.1',
    'secure-port': '0',
    'leader-elect': 'false',
    'root-ca-file': caFile,
    'service-account-private-key-file': join(folder, 'accounts.key'),
    'use-service-account-credentials': 'true',
    'cluster-signing-cert-file': caFile,
    'cluster-signing-key-file': join(folder, 'ca.key'),
    'concurrent-gc-syncs': '4',
  }
  return launch('kube-controller-manager', programPath('kube-controller-manager'), [...asFlags(flags), ...(options.controllerFlags ?? [])])
}

export const asFlags = (flags: Readonly<Record<string, string>>): string[] => Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)

/** Ready means ready for its users too: RBAC's own objects are made after it first answers. */
const untilReady = async (place: Place, server: Child): Promise<void> => {
  const ended = await until('kube-apiserver is ready', async () => (server.running() ? (await statusOf(place, '/readyz')) === 200 && 'ready' : 'ended'), 90_000, 100)
  if (ended === 'ended') throw new Error(`kube-apiserver ended before it was ready:\n${server.output().slice(-2000)}`)
}

const statusOf = ({ url, ca, token }: Place, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request(`${url}${path}`, { ca, headers: { authorization: `Bearer ${token}` }, agent: false, timeout: 5000 }, (response) => (response.resume(), resolve(response.statusCode ?? 0)))
    asked.once('timeout', () => asked.destroy(new Error('no answer in 5 s')))
    asked.once('error', reject)
    asked.end()
  })

export const onPath = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v "$1"`, 'sh', program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
