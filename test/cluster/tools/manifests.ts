// What every test cluster holds from the start: CoreDNS, and a storage class whose volumes are made by hand. Pure.
import { urlHost } from '../../../relay/snapshot/index.ts'
import { imageNames } from './images.ts'
import type { Net } from './machine.ts'

const named = (kind: string, apiVersion: string, name: string, rest: object = {}, namespace?: string): object => ({ apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) }, ...rest })

/** CoreDNS asks us (port 53 of our side of the link) for all that is not of the cluster: a story may answer there. */
const corefile = ({ host }: Net): string => `.:5353 {
  errors
  health :8080
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    ttl 5
  }
  forward . ${urlHost(host)}:53
  cache 5
}
`

export const coreDns = (net: Net): object[] => {
  const system = 'kube-system'
  const labels = { app: 'coredns' }
  const container = {
    name: 'coredns',
    image: imageNames.coredns,
    imagePullPolicy: 'IfNotPresent',
    args: ['-conf', '/etc/coredns/Corefile'],
    readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
    volumeMounts: [{ name: 'config', mountPath: '/etc/coredns' }],
  }
  return [
    named('ServiceAccount', 'v1', 'coredns', {}, system),
    named('ClusterRole', 'rbac.authorization.k8s.io/v1', 'coredns', {
      rules: [
        { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    }),
    named('ClusterRoleBinding', 'rbac.authorization.k8s.io/v1', 'coredns', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'coredns' },
      subjects: [{ kind: 'ServiceAccount', name: 'coredns', namespace: system }],
    }),
    named('ConfigMap', 'v1', 'coredns', { data: { Corefile: corefile(net) } }, system),
    named('Deployment', 'apps/v1', 'coredns', {
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { serviceAccountName: 'coredns', dnsPolicy: 'Default', containers: [container], volumes: [{ name: 'config', configMap: { name: 'coredns' } }] } },
      },
    }, system),
    named('Service', 'v1', 'kube-dns', {
      spec: { selector: labels, clusterIP: net.dns, ports: [{ name: 'dns', port: 53, protocol: 'UDP', targetPort: 5353 }, { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 5353 }] },
    }, system),
  ]
}

/** The default class: a claim waits for its pod, then takes one of `volumes`. */
export const storageClass: object = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'test-local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
}

export const volume = (name: string, path: string, node: string): object =>
  named('PersistentVolume', 'v1', name, {
    spec: {
      capacity: { storage: '20Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'test-local',
      persistentVolumeReclaimPolicy: 'Retain',
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] } },
    },
  })
