// One cluster for many stories: the runner holds it, each story (a process of its own) joins it by what stands in its
// environment, and asks for what only the holder can do over a socket in the cluster's folder.
import { rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Cluster, Own } from './cluster.ts'
import { kubectlOf, type Kubectl } from './kubectl.ts'
import type { Image } from './images.ts'
import type { Net } from './machine.ts'

const variable = 'POSTHOUSE_TEST_CLUSTER'

/** What a story may do with the API server of a cluster that is ours. */
const acts = ['interrupt', 'resume', 'freeze', 'thaw'] as const
type Act = (typeof acts)[number]

type Told = { readonly kubeconfig: string; readonly images: Cluster['images']; readonly own?: ToldOwn }
type ToldOwn = { readonly folder: string; readonly pid: number; readonly net: Net; readonly image: Image }

export type Joined = {
  readonly kubeconfig: string
  readonly kubectl: Kubectl
  readonly images: Cluster['images']
  /** Only where the cluster is ours: its logs, its node (see `inMachine`), its ranges, the archive of our image, its API server. */
  readonly own?: ToldOwn & { readonly apiServer: Readonly<Record<Act, () => Promise<void>>> }
}

/** For the holder: what to put into the environment of each story. Listens until the cluster stops. */
export const offer = async ({ kubeconfig, images, own }: Cluster): Promise<Readonly<Record<string, string>>> => {
  if (own) await listen(own)
  const told: Told = { kubeconfig, images, ...(own && { own: { folder: own.folder, pid: own.machine.pid, net: own.machine.net, image: own.image } }) }
  return { [variable]: JSON.stringify(told) }
}

/** For a story. */
export const joinCluster = (): Joined => {
  const text = process.env[variable]
  if (text === undefined) throw new Error('this story needs a cluster: npm run test:cluster')
  const { kubeconfig, images, own } = JSON.parse(text) as Told
  const apiServer = own && (Object.fromEntries(acts.map((act) => [act, () => ask(own.folder, act)])) as Record<Act, () => Promise<void>>)
  return { kubeconfig, images, kubectl: kubectlOf(kubeconfig), ...(own && apiServer && { own: { ...own, apiServer } }) }
}

/**
 * What a person or a later look needs: pods, events, our kinds, and the logs of our pods, of this life and the one before, as files. Resolves with what a log of the whole
 * run should hold, for that may be all that is left of it.
 */
export const explain = async ({ kubectl, own }: Cluster, folder: string): Promise<readonly string[]> => {
  const ours = ['--all-namespaces', '--selector=app.kubernetes.io/name=posthouse']
  const looks = { pods: ['get', 'pods', '-A', '-o', 'wide'], events: ['get', 'events', '-A', '--sort-by=.lastTimestamp'], described: ['describe', 'pods', '-A'], mail: ['get', 'mail', '-A', '-o', 'yaml'] }
  for (const [name, args] of Object.entries(looks)) writeFileSync(join(folder, `cluster-${name}.txt`), (await kubectl.may(...args)).output)
  const pods = (await kubectl.may('get', 'pods', ...ours, '--output', 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}')).stdout.split('\n').filter((line) => line !== '')
  for (const [namespace, name] of pods.map((line) => line.split(' ') as [string, string])) {
    const logs = await Promise.all([['--previous'], []].map(async (life) => (await kubectl.may('logs', name, '--namespace', namespace, '--tail=2000', ...life)).output))
    writeFileSync(join(folder, `cluster-log-${namespace}-${name}.txt`), logs.join('\n'))
  }
  return [...(own?.machine.ended() ?? []), ...(await unreadyPods(kubectl)), ...(await lastWarnings(kubectl))]
}

const unreadyPods = async (kubectl: Kubectl): Promise<string[]> => {
  const { stdout } = await kubectl.may('get', 'pods', '-A', '--no-headers', '-o', 'wide')
  const lines = stdout.split('\n').filter((line) => line !== '' && !/ (\d+)\/\1 +Running | Completed /.test(line))
  return lines.slice(0, 10).map((line) => `not ready: ${line.replace(/\s+/g, ' ')}`)
}

const lastWarnings = async (kubectl: Kubectl): Promise<string[]> => {
  const { stdout } = await kubectl.may('get', 'events', '-A', '--field-selector=type=Warning', '--sort-by=.lastTimestamp', '--no-headers')
  return stdout.split('\n').filter((line) => line !== '').slice(-10).map((line) => `warning: ${line.replace(/\s+/g, ' ').slice(0, 300)}`)
}

const socketOf = (folder: string): string => join(folder, 'control')

const listen = ({ api, folder }: Own): Promise<void> => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let asked = ''
    socket.setEncoding('utf8').on('data', (text) => void (asked += String(text)))
    socket.on('error', () => {})
    socket.once('end', () => void act(asked.trim()).then((answer) => socket.end(answer)))
  })
  const act = async (asked: string): Promise<string> => {
    try {
      const known = acts.find((one) => one === asked)
      if (known === undefined) throw new Error(`no such act: ${asked}`)
      await api[known]()
      return 'done'
    } catch (error) {
      return String(error)
    }
  }
  rmSync(socketOf(folder), { force: true })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.unref().listen(socketOf(folder), resolve)
  })
}

const ask = (folder: string, act: Act): Promise<void> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(socketOf(folder), () => socket.end(act))
    socket.setEncoding('utf8').on('data', (text) => void (answer += String(text)))
    socket.once('error', reject)
    socket.once('close', () => (answer === 'done' ? resolve() : reject(new Error(`the API server could not be told to ${act}: ${answer}`))))
  })
