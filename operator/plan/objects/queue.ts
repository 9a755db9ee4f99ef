// The NATS servers of a MailRelay with a managed queue: a StatefulSet behind a headless Service, TLS and one account of their own. Pure.
import { bytesOf, type MailRelay } from '../../../crds/index.ts'
import type { KubeObject } from '../../kube/index.ts'
import type { Data } from '../input.ts'
import { apart, containerSecurity, givenPlace, metadataOf, podSecurity, resources, selectorOf, type ObjectSettings, type Wanted } from './common.ts'
import { configAnnotation, configHash, loginsIn } from './queue-config.ts'

const suffix = '-queue'
export const queueLoginName = ({ metadata: { name } }: MailRelay): string => `${name}${suffix}`
export const natsPorts = { client: 4222, monitor: 8222, cluster: 6222 } as const

export const serversOf = ({ spec }: MailRelay): number => spec.queue.managed?.replicas ?? 0

const hostsOf = (relay: MailRelay, clusterDomain: string, servers = serversOf(relay)): string[] => {
  const { name, namespace } = relay.metadata
  return Array.from({ length: servers }, (_, n) => `${name}${suffix}-${n}.${name}${suffix}.${namespace}.svc.${clusterDomain}`)
}

export const queueUrls = (relay: MailRelay, clusterDomain: string): { servers: string[]; monitors: string[] } => {
  const hosts = hostsOf(relay, clusterDomain)
  return { servers: hosts.map((host) => `tls://${host}:${natsPorts.client}`), monitors: hosts.map((host) => `http://${host}:${natsPorts.monitor}`) }
}

/** For all the servers there may ever be: growing needs no new certificate. */
export const queueCertificateNames = (relay: MailRelay, clusterDomain: string): string[] => {
  const { name, namespace } = relay.metadata
  return [`${name}${suffix}.${namespace}.svc`, ...hostsOf(relay, clusterDomain, 5)]
}

/** `secrets`: username, password, tls.crt, tls.key, ca.crt. */
export const queueObjects = (relay: MailRelay, secrets: Data, settings: ObjectSettings): Wanted[] =>
  relay.spec.queue.managed === undefined ? [] : objectsWith(relay, { ...secrets, 'nats.conf': configOf(relay, secrets, settings.clusterDomain) }, settings)

const objectsWith = (relay: MailRelay, secrets: Data, settings: ObjectSettings): Wanted[] => [login(relay, secrets), service(relay), statefulSet(relay, configHash(secrets), settings), disruptionBudget(relay)]

const login = (relay: MailRelay, secrets: Data): Wanted => ({
  resource: resources.secret,
  object: { metadata: metadataOf(relay, 'queue', suffix), type: 'Opaque', data: encoded(secrets) },
})

const encoded = (data: Data): Data => Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))

export const configOf = (relay: MailRelay, secrets: Data, clusterDomain: string): string => {
  const tls = 'cert_file: "/etc/nats/tls.crt", key_file: "/etc/nats/tls.key", ca_file: "/etc/nats/ca.crt"'
  const routes = hostsOf(relay, clusterDomain).map((host) => `"tls://${host}:${natsPorts.cluster}"`)
  const users = loginsIn(secrets).map(({ username, password }) => `{ user: "${username}", password: "${password}" }`)
  const cluster = serversOf(relay) === 1 ? '' : `cluster { name: "${relay.metadata.name}", port: ${natsPorts.cluster}, tls { ${tls}, verify: true }, routes: [${routes.join(', ')}] }\n`
  return `server_name: $POD_NAME
port: ${natsPorts.client}
http_port: ${natsPorts.monitor}
max_payload: 1MB
tls { ${tls} }
${cluster}accounts { RELAY { jetstream: enabled, users: [${users.join(', ')}] }, SYS {} }
system_account: SYS
# written to disk before it is acknowledged: a 250 means that the mail is there after a power cut
# and all of the volume may be used: else the limit is three quarters of what was free at the start, and what settles mail is refused with the rest
jetstream { store_dir: "/data/jetstream", sync_interval: always, max_file_store: ${bytesOf(relay.spec.queue.managed!.storage.size)} }
`
}

const service = (relay: MailRelay): Wanted => ({
  resource: resources.service,
  object: {
    metadata: metadataOf(relay, 'queue', suffix),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true, // the servers find each other before they are ready
      selector: selectorOf(relay, 'queue'),
      ports: Object.entries(natsPorts).map(([name, port]) => ({ name, port, targetPort: port, protocol: 'TCP' })),
    },
  },
})

const statefulSet = (relay: MailRelay, config: string, { natsImage, imagePullPolicy }: ObjectSettings): Wanted => {
  const labels = selectorOf(relay, 'queue')
  const { storage } = relay.spec.queue.managed!
  return {
    resource: resources.statefulSet,
    object: {
      metadata: metadataOf(relay, 'queue', suffix),
      spec: {
        serviceName: `${relay.metadata.name}${suffix}`,
        replicas: serversOf(relay),
        podManagementPolicy: 'Parallel', // a server alone of three has no leader and is never ready
        updateStrategy: { type: 'RollingUpdate' }, // one at a time, each only when the one before is whole again
        minReadySeconds: 5,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
        selector: { matchLabels: labels },
        template: {
          // another configuration or certificate is another template: the servers are started anew, one at a time
          metadata: { labels, annotations: { [configAnnotation]: config } },
          spec: {
            serviceAccountName: relay.metadata.name,
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 60,
            securityContext: podSecurity,
            affinity: apart(labels),
            ...givenPlace(relay),
            containers: [serverOf(serversOf(relay), natsImage, imagePullPolicy)],
            volumes: [{ name: 'config', secret: { secretName: queueLoginName(relay), defaultMode: 0o440, items: ['nats.conf', 'tls.crt', 'tls.key', 'ca.crt'].map((key) => ({ key, path: key })) } }],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: storage.size } }, ...(storage.storageClassName !== undefined && { storageClassName: storage.storageClassName }) },
          },
        ],
      },
    },
  }
}

/** The claims of a StatefulSet cannot be changed: those that are there stay, whatever size is wanted now. */
export const withItsClaims = (wanted: KubeObject, live: KubeObject | undefined): KubeObject => {
  const claims = (live?.spec as { volumeClaimTemplates?: unknown } | undefined)?.volumeClaimTemplates
  return claims === undefined ? wanted : { ...wanted, spec: { ...(wanted.spec as object), volumeClaimTemplates: claims } }
}

const health = (query: string) => ({ httpGet: { path: `/healthz${query}`, port: 'monitor', scheme: 'HTTP' } })

/**
 * What only a new start mends. A server among others that cannot write to its volume turns JetStream off. One that is alone goes on without: it refuses every write, also when there
 * is room again, and only the whole health says so; that says nothing else of a single server that a start would not mend. Of several the whole health may also say that one catches up;
 * of those that wait for themselves, which only the whole health shows, ../stuck-servers.ts takes care: it relies on the readiness probe asking for it.
 */
const deadHealth = (servers: number) => health(servers === 1 ? '' : '?js-enabled-only=true')

const serverOf = (servers: number, image: string, imagePullPolicy: string): object => ({
  name: 'nats',
  image,
  imagePullPolicy,
  args: ['--config', '/etc/nats/nats.conf'],
  env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }],
  ports: Object.entries(natsPorts).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
  resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '4Gi' } }, // a million deferred deliveries take 1.8 GiB (docs/bench.md)
  securityContext: containerSecurity,
  volumeMounts: [
    { name: 'config', mountPath: '/etc/nats', readOnly: true },
    { name: 'data', mountPath: '/data' },
  ],
  readinessProbe: { ...health(''), periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2, successThreshold: 1 },
  startupProbe: { ...health('?js-enabled-only=true'), periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 300, successThreshold: 1 },
  livenessProbe: { ...deadHealth(servers), periodSeconds: 15, timeoutSeconds: 10, failureThreshold: 8, successThreshold: 1 },
})

const disruptionBudget = (relay: MailRelay): Wanted => ({
  resource: resources.disruptionBudget,
  object: { metadata: metadataOf(relay, 'queue', suffix), spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(relay, 'queue') } } },
})
