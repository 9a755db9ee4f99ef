// `posthouse operator`: watches a cluster and makes relays of what is declared there (what the operator's pod runs).
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { randomBytes } from 'node:crypto'
import { InvalidArgumentError, type Command } from 'commander'
import { parseDuration } from '../crds/index.ts'
import { Failure } from './failure.ts'
import { hostPort } from './listen-option.ts'
import { untilSignal } from './signals.ts'

type Options = {
  readonly image: string
  readonly natsImage: string
  readonly imagePullPolicy: string
  readonly clusterDomain: string
  readonly namespace?: string
  readonly lease: string
  readonly watchNamespaces?: string
  readonly kubeconfig?: string
  readonly serviceAccount?: string
  readonly http: string
  readonly probeEvery: string
}

const namespaceOfPod = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'

export const operatorCommand = (program: Command): void => {
  program
    .command('operator')
    .description('the operator: watches a cluster and makes relays of what is declared there')
    .requiredOption('--image <image>', 'image of the relay pods: this one')
    .requiredOption('--nats-image <image>', 'image of the NATS servers of managed queues')
    .option('--image-pull-policy <policy>', 'Always, IfNotPresent or Never', 'IfNotPresent')
    .option('--cluster-domain <domain>', 'the cluster\'s DNS domain', 'cluster.local')
    .option('--namespace <name>', 'where the lease lies (default: the pod\'s own namespace)')
    .option('--lease <name>', 'by which one of several acts', 'posthouse-operator')
    .option('--watch-namespaces <names>', 'only these, separated by commas (default: all)')
    .option('--kubeconfig <file>', 'which cluster (default: KUBECONFIG, ~/.kube/config, or the pod\'s own account)')
    .option('--service-account <folder>', 'with the token and the CA of a ServiceAccount (default: the pod\'s own)')
    .option('--http <host:port>', 'metrics and health', '127.0.0.1:9465')
    .option('--probe-every <duration>', 'how often a stranger tries to relay through every listener, beside after every change', aDuration, '5m')
    .action(run)
}

const run = async (options: Options): Promise<void> => {
  const { startOperator } = await import('../operator/main.ts') // loaded when wanted: other commands start faster
  const operator = await startOperator({
    settings: { image: options.image, natsImage: options.natsImage, imagePullPolicy: policyOf(options.imagePullPolicy), clusterDomain: options.clusterDomain },
    namespace: options.namespace ?? ownNamespace(),
    lease: options.lease,
    identity: `${hostname()}_${randomBytes(4).toString('hex')}`,
    ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
    ...(options.serviceAccount !== undefined && { serviceAccount: options.serviceAccount }),
    ...(options.watchNamespaces !== undefined && { watchNamespaces: options.watchNamespaces.split(',').filter((name) => name !== '') }),
    http: hostPort(options.http),
    probeEvery: options.probeEvery,
    // for tests only: it opens a hole on purpose, for the probe to find
    believeAll: process.env.POSTHOUSE_TEST_BELIEVE_ADDRESSES === 'yes',
    say: (line) => console.log(JSON.stringify({ time: new Date().toISOString(), ...line })),
  }).catch((error: unknown) => {
    throw new Failure((error as Error).message, 1)
  })
  // whoever lost the lease ends: a new process begins with nothing half done
  await Promise.race([untilSignal(), operator.ended.then(() => (process.exitCode = 1))])
  await operator.stop()
}

const aDuration = (text: string): string => {
  if ((parseDuration(text) ?? 0) < 10) throw new InvalidArgumentError('10s or more, such as 5m or 1h')
  return text
}

const policyOf = (text: string): 'Always' | 'IfNotPresent' | 'Never' => {
  if (text === 'Always' || text === 'IfNotPresent' || text === 'Never') return text
  throw new Failure(`--image-pull-policy ${text}: one of Always, IfNotPresent, Never`)
}

const ownNamespace = (): string => {
  try {
    return readFileSync(namespaceOfPod, 'utf8').trim()
  } catch {
    throw new Failure('--namespace is needed outside a pod: where the lease lies')
  }
}
