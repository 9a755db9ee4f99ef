// The relay pods. Their template changes only when a pod has to be made anew: all that may change live is in the snapshot.
import { createHash } from 'node:crypto'
import { waitOf, type MailRelay } from '../../../crds/index.ts'
import type { RelayView } from '../view.ts'
import { bindPortOf } from '../snapshot/ports.ts'
import { apart, containerSecurity, givenPlace, metadataOf, podSecurity, resources, selectorOf, type ObjectSettings, type Wanted } from './common.ts'
import { queueLoginName, queueUrls } from './queue.ts'
import { snapshotSecretNames } from './snapshot-secrets.ts'

export const httpPort = 9464
const leaveSeconds = 5 // a Service goes on sending for a moment after a pod was told to end

export const deploymentOf = (view: RelayView, settings: ObjectSettings): Wanted => {
  const { relay } = view
  const labels = selectorOf(relay, 'relay')
  return {
    resource: resources.deployment,
    object: {
      metadata: metadataOf(relay, 'relay'),
      spec: {
        replicas: relay.spec.replicas,
        selector: { matchLabels: labels },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        template: {
          metadata: { labels: { ...relay.spec.pods?.labels, ...labels }, ...(relay.spec.pods?.annotations && { annotations: relay.spec.pods.annotations }) },
          spec: podOf(view, settings),
        },
      },
    },
  }
}

const acrossZones = { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' }

const podOf = (view: RelayView, settings: ObjectSettings): object => {
  const { relay } = view
  const labels = selectorOf(relay, 'relay')
  const { affinity = apart(labels), topologySpreadConstraints = [acrossZones] } = relay.spec.pods ?? {}
  return {
    serviceAccountName: relay.metadata.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: leaveSeconds + waitOf(relay.spec.drain.timeout) + 30,
    securityContext: podSecurity,
    affinity,
    topologySpreadConstraints: topologySpreadConstraints.map((one) => ({ labelSelector: { matchLabels: labels }, ...one })),
    ...givenPlace(relay),
    containers: [containerOf(view, settings)],
    volumes: [
      // all are named from the start, so that a snapshot that grows restarts nothing
      { name: 'snapshot', projected: { defaultMode: 0o440, sources: snapshotSecretNames(relay).map((name) => ({ secret: { name, optional: true } })) } },
      { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      ...queueVolume(relay),
    ],
  }
}

const containerOf = ({ relay, listeners }: RelayView, { image, imagePullPolicy, clusterDomain }: ObjectSettings): object => ({
  name: 'relay',
  image,
  imagePullPolicy,
  args: ['relay', '--snapshot', '/etc/posthouse/snapshot', '--host', '::', '--http', `[::]:${httpPort}`, ...queueArgs(relay, clusterDomain)],
  env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }],
  ports: [...listeners.map(({ name, port }) => ({ name: portName(name), containerPort: bindPortOf(port), protocol: 'TCP' })), { name: 'http', containerPort: httpPort, protocol: 'TCP' }],
  resources: relay.spec.pods?.resources ?? { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
  securityContext: containerSecurity,
  volumeMounts: [
    { name: 'snapshot', mountPath: '/etc/posthouse/snapshot', readOnly: true },
    { name: 'run', mountPath: '/run/posthouse' },
    ...queueVolume(relay).map(() => ({ name: 'queue', mountPath: queueFolder, readOnly: true })),
  ],
  readinessProbe: { httpGet: { path: '/readyz', port: 'http', scheme: 'HTTP' }, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2, successThreshold: 1 },
  // an outage of the queue must not restart pods: only a process that no longer turns is ended
  livenessProbe: { httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' }, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6, successThreshold: 1 },
  startupProbe: { httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' }, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 60, successThreshold: 1 },
  lifecycle: { preStop: { sleep: { seconds: leaveSeconds } } },
})

const queueArgs = (relay: MailRelay, clusterDomain: string): string[] => {
  const { external } = relay.spec.queue
  const { servers, monitors } = external ? { servers: external.servers, monitors: external.monitoring ?? [] } : queueUrls(relay, clusterDomain)
  const watched = monitors.length > 0 ? ['--nats-monitor', monitors.join(',')] : ['--nats-trust-sync']
  return ['--nats', servers.join(','), ...watched, ...(queueVolume(relay).length > 0 ? ['--nats-secrets', queueFolder] : [])]
}

const queueFolder = '/etc/posthouse/queue'

/** Who the relay is to its queue: mounted, so that a rotated login or certificate restarts nothing. */
const queueVolume = (relay: MailRelay): object[] => {
  const { external } = relay.spec.queue
  if (!external) return [{ name: 'queue', secret: { secretName: queueLoginName(relay), defaultMode: 0o440, items: ['username', 'password', 'ca.crt'].map((key) => ({ key, path: key })) } }]
  const given = [[external.credentialsSecretRef, ['username', 'password', 'token', 'user.creds']], [external.tlsSecretRef, ['ca.crt', 'tls.crt', 'tls.key']]] as const
  // optional: of the keys a Secret holds some; that it holds what is needed is checked before
  const sources = given.flatMap(([ref, keys]) => (ref ? [{ secret: { name: ref.name, optional: true, items: keys.map((key) => ({ key, path: key })) } }] : []))
  return sources.length > 0 ? [{ name: 'queue', projected: { defaultMode: 0o440, sources } }] : []
}

/** At most 15 characters, with a letter. A name that fits is kept; of one that is cut the hash tells it from others that begin alike. */
export const portName = (listener: string): string => {
  if (listener.length <= 15 && /[a-z]/.test(listener)) return listener
  return listener.length <= 13 ? `l-${listener}` : `l-${listener.slice(0, 7).replace(/-$/, '')}-${createHash('sha256').update(listener).digest('hex').slice(0, 5)}`
}
