// A whole Kubernetes for tests, from nothing: etcd, API server, controllers, scheduler, one node, DNS. All in one folder and one
// set of namespaces that end with this process. POSTHOUSE_KUBECONFIG names a cluster to use instead; then none is started.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runChild, type Child } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { asFlags, onPath, startApiServer, type ApiServer } from './api-server.ts'
import { build, forCluster, isBuilt, programPath } from './build.ts'
import { kubectlOf, type Kubectl } from './kubectl.ts'
import { imageNames, makeImages, type Image } from './images.ts'
import { startMachine, type Family, type Machine } from './machine.ts'
import { coreDns, storageClass } from './manifests.ts'
import { importImages, nodeName, nodeUsers, startContainerd, startKubelet, startKubeProxy } from './node.ts'

export type Cluster = {
  readonly kubeconfig: string
  readonly kubectl: Kubectl
  /** What images are called here. */
  readonly images: { readonly posthouse: string; readonly nats: string }
  /** Only of a cluster that we started. */
  readonly own?: Own
  /** Ends what we started, and removes its logs where they are not wanted; an existing cluster stays as it is. */
  stop(options?: { readonly keepLogs?: boolean }): Promise<void>
}

export type Own = { readonly api: ApiServer; readonly machine: Machine; readonly folder: string; readonly image: Image }

const programs: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
  nft: 'nftables',
  buildah: 'buildah',
  debootstrap: 'debootstrap',
  ip: 'iproute2',
  unshare: 'util-linux',
}

/** Why no cluster can be started here, each with what would help: empty when one can. */
export const clusterLacks = (): string[] => {
  const { POSTHOUSE_KUBECONFIG: kubeconfig, POSTHOUSE_IMAGE: image } = process.env
  if (kubeconfig) return [...(existsSync(kubeconfig) ? [] : [`POSTHOUSE_KUBECONFIG: there is no file ${kubeconfig}`]), ...(image ? [] : ['POSTHOUSE_IMAGE=NAME, an image of this checkout that the cluster can pull: docker build -t NAME . && docker push NAME'])]
  if (process.platform !== 'linux') return ['a Linux machine, or a cluster named by POSTHOUSE_KUBECONFIG']
  if (process.getuid?.() !== 0) return ['run it as root, or name a cluster with POSTHOUSE_KUBECONFIG']
  const missing = Object.entries(programs).filter(([program]) => (program.startsWith('/') ? !existsSync(program) : !onPath(program)))
  const lacks = missing.length > 0 ? [`apt-get install ${missing.map(([, name]) => name).join(' ')} (or: bash .ci/run packages)`] : []
  if (!forCluster.every(isBuilt) && !onPath('go')) lacks.push('Go 1.26 or newer, to build Kubernetes once: https://go.dev/doc/install')
  return lacks
}

export const openCluster = async (say: (line: string) => void, family: Family = 'IPv4'): Promise<Cluster> => (process.env.POSTHOUSE_KUBECONFIG ? existing(process.env.POSTHOUSE_KUBECONFIG) : startCluster(say, family))

const existing = (kubeconfig: string): Cluster => {
  const { POSTHOUSE_IMAGE: posthouse = '', POSTHOUSE_NATS_IMAGE: nats = imageNames.nats.replace('posthouse.test', 'docker.io/library') } = process.env
  return { kubeconfig, kubectl: kubectlOf(kubeconfig), images: { posthouse, nats }, stop: () => Promise.resolve() }
}

/** Builds what is missing first: minutes the first time, then a second. Ready in half a minute. */
export const startCluster = async (say: (line: string) => void, family: Family = 'IPv4'): Promise<Cluster> => {
  const lacks = clusterLacks()
  if (lacks.length > 0) throw new Error(`a cluster needs: ${lacks.join('; ')}`)
  await build(forCluster, say)
  const images = await makeImages(say)
  sweepFolders()
  const folder = mkdtempSync(join(tmpdir(), `posthouse-cluster-${process.pid}-`))
  const machine = await startMachine(folder, family)
  const children: Child[] = []
  const started: { api?: ApiServer } = {}
  const stop = async (): Promise<void> => {
    await Promise.all([started.api?.stop(), machine.stop()])
    await Promise.all(children.map(({ exited }) => exited))
  }
  try {
    say(`starting a cluster; its logs: ${folder}`)
    const [api] = await Promise.all([startControl(machine).then((control) => (started.api = control)), startContainerd(machine).then((child) => (children.push(child), importImages(machine, images)))])
    children.push(startKubelet(machine, api), startKubeProxy(machine, api))
    const kubectl = kubectlOf(api.kubeconfig)
    await kubectl.apply(...coreDns(machine.net), storageClass)
    await untilReady(kubectl, children)
    return {
      kubeconfig: api.kubeconfig,
      kubectl,
      images: imageNames,
      own: { api, machine, folder, image: images.find(({ name }) => name === imageNames.posthouse)! },
      stop: async ({ keepLogs = false } = {}) => {
        await stop()
        if (keepLogs) say(`the logs of the cluster: ${folder}`)
        tidy(folder, keepLogs)
      },
    }
  } catch (error) {
    await stop()
    tidy(folder, true)
    throw new Error(`the cluster did not start: ${error instanceof Error ? error.message : String(error)}\nits logs: ${folder}`, { cause: error })
  }
}

const startControl = (machine: Machine): Promise<ApiServer> => {
  const { net, folder, launch } = machine
  mkdirSync(join(folder, 'api'), { recursive: true })
  const users = { ...nodeUsers, 'system:kube-scheduler': [] }
  return startApiServer({ controllerManager: true, beside: (api) => ({ 'kube-scheduler': () => startScheduler(machine, api) }), folder: join(folder, 'api'), address: net.node, port: 6443, serviceRange: net.services, launch, users, controllerFlags: [`--cluster-cidr=${net.pods}`, '--allocate-node-cidrs=false', '--node-monitor-grace-period=40s'] })
}

const startScheduler = (machine: Machine, api: Pick<ApiServer, 'kubeconfigOf'>): Child => {
  const kubeconfig = api.kubeconfigOf('system:kube-scheduler')
  return machine.launch('kube-scheduler', programPath('kube-scheduler'), asFlags({ kubeconfig, 'leader-elect': 'false', 'secure-port': '0' }))
}

/** The node takes pods and names are found. */
const untilReady = async (kubectl: Kubectl, children: readonly Child[]): Promise<void> => {
  const check = async (): Promise<boolean | Child> => {
    const dead = children.find((child) => !child.running())
    if (dead) return dead
    const { code } = await kubectl.may('wait', '--for=condition=Available', '--timeout=1s', '--namespace=kube-system', 'deployment/coredns')
    return code === 0
  }
  const result = await until(`${nodeName} runs CoreDNS`, check, 120_000, 500)
  if (result !== true) throw new Error(`a part of it ended: ${result.output().slice(-1500)}`)
}

/** With the logs or without, what containerd unpacked goes: it is hundreds of megabytes. */
const tidy = (folder: string, keepLogs: boolean): void => {
  for (const gone of keepLogs ? ['var-lib', 'run', 'api/etcd'] : ['']) rmSync(join(folder, gone), { recursive: true, force: true })
}

/** What runs left that were killed, and the logs of those that failed. */
const sweepFolders = (): void => {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = /^posthouse-cluster-(\d+)-/.exec(name) ?? []
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

/** A command in the node's namespaces, to its end. */
export const inMachine = ({ pid }: { pid: number }, command: string, ...args: string[]): Promise<{ code: number; output: string; stdout: string }> =>
  runChild('nsenter', ['--target', String(pid), '--mount', '--net', '--pid', '--uts', '--ipc', '--', command, ...args], { mayFail: true })
