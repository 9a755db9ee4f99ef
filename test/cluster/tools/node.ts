// One node: containerd, kubelet and kube-proxy, started in a machine of their own (machine.ts). Every setting here was needed.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { certificateFor } from '../../../operator/make/certificates.ts'
import type { Child } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { asFlags, type ApiServer } from './api-server.ts'
import { programPath } from './build.ts'
import { imageNames, type Image } from './images.ts'
import type { Machine } from './machine.ts'

export const nodeName = 'node-1'
/** The users that the node's programs are to the API server, and their groups. */
export const nodeUsers = { [`system:node:${nodeName}`]: ['system:nodes'], 'system:kube-proxy': [] } as const

export const startContainerd = async (machine: Machine): Promise<Child> => {
  const config = join(machine.folder, 'containerd.toml')
  const cni = join(machine.folder, 'cni')
  mkdirSync(cni, { recursive: true })
  writeFileSync(config, containerdConfig(cni))
  writeFileSync(join(cni, '10-posthouse.conflist'), cniConfig(machine))
  const containerd = machine.launch('containerd', 'containerd', ['--config', config])
  await until('containerd answers', async () => (await ctr(machine, 'version').exited) === 0, 30_000, 200)
  return containerd
}

/** Unpacks archives into the node's containerd. */
export const importImages = async (machine: Machine, images: readonly Image[]): Promise<void> => {
  for (const { archive, name } of images) {
    const child = ctr(machine, 'images', 'import', archive)
    if ((await child.exited) !== 0) throw new Error(`${name} could not be imported: ${child.output().slice(-1000)}`)
  }
}

const ctr = (machine: Machine, ...args: string[]): Child => machine.launch('ctr', 'ctr', ['--namespace', 'k8s.io', ...args])

/** Each pod has a link of its own to the node, no bridge: all that pods say to each other passes the node's rules for Services. */
const cniConfig = ({ net }: Machine): string =>
  JSON.stringify({
    cniVersion: '0.4.0',
    name: 'posthouse',
    plugins: [{ type: 'ptp', ipMasq: false, ipam: { type: 'host-local', ranges: [[{ subnet: net.pods }]], routes: [{ dst: net.family === 'IPv4' ? '0.0.0.0/0' : '::/0' }] } }],
  })

const containerdConfig = (cni: string): string => `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${imageNames.pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`

export const startKubelet = (machine: Machine, api: ApiServer): Child => {
  const { net, folder } = machine
  const authority = { certificate: api.ca, key: readFileSync(join(api.folder, 'ca.key'), 'utf8') }
  const pair = certificateFor([nodeName, net.node], authority, new Date())
  writeFileSync(join(folder, 'kubelet.crt'), pair.certificate)
  writeFileSync(join(folder, 'kubelet.key'), pair.key, { mode: 0o600 })
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: net.node,
    healthzBindAddress: '127.0.0.1',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: false }, x509: { clientCAFile: api.caFile } },
    authorization: { mode: 'AlwaysAllow' }, // whoever has a certificate of this CA, and that is the API server
    tlsCertFile: join(folder, 'kubelet.crt'),
    tlsPrivateKeyFile: join(folder, 'kubelet.key'),
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    clusterDNS: [net.dns],
    clusterDomain: 'cluster.local',
    resolvConf: '',
    cgroupDriver: 'cgroupfs',
    cgroupRoot: machine.cgroup,
    failCgroupV1: false,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    imageGCHighThresholdPercent: 100, // nothing could bring an image back
    evictionHard: { 'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%', 'nodefs.inodesFree': '0%' },
    syncFrequency: '10s', // mounted Secrets follow within seconds
    maxPods: 250,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    shutdownGracePeriod: '0s',
  }
  writeFileSync(join(folder, 'kubelet.json'), JSON.stringify(config, undefined, 2))
  const flags = { config: join(folder, 'kubelet.json'), kubeconfig: api.kubeconfigOf(`system:node:${nodeName}`), 'hostname-override': nodeName, 'node-ip': net.node }
  return machine.launch('kubelet', programPath('kubelet'), asFlags(flags))
}

export const startKubeProxy = (machine: Machine, api: ApiServer): Child => {
  const config = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    bindAddress: machine.net.node,
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    clientConnection: { kubeconfig: api.kubeconfigOf('system:kube-proxy') },
    hostnameOverride: nodeName,
    clusterCIDR: machine.net.pods,
    detectLocalMode: 'ClusterCIDR',
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' }, // those knobs are the whole machine's
  }
  writeFileSync(join(machine.folder, 'kube-proxy.json'), JSON.stringify(config, undefined, 2))
  return machine.launch('kube-proxy', programPath('kube-proxy'), [`--config=${join(machine.folder, 'kube-proxy.json')}`])
}
