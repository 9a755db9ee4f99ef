// Every object that one MailRelay in force becomes. One builder each; what is not in the list should not exist. Pure.
import type { Snapshot } from '../../../relay/snapshot/index.ts'
import type { Data } from '../input.ts'
import type { RelayView } from '../view.ts'
import { metadataOf, resources, selectorOf, type ObjectSettings, type Wanted } from './common.ts'
import { deploymentOf } from './deployment.ts'
import { networkPolicies } from './network-policies.ts'
import { queueObjects } from './queue.ts'
import { serviceOf } from './service.ts'
import { snapshotSecrets } from './snapshot-secrets.ts'

export { isManaged, isPartOf, isTaken, managedLabels, resources, selectorOf, type ObjectSettings, type Wanted } from './common.ts'
export { httpPort, portName } from './deployment.ts'
export { configOf, queueCertificateNames, queueLoginName, serversOf, withItsClaims } from './queue.ts'
export { snapshotSecretNames } from './snapshot-secrets.ts'
export { clusterAddresses, type ClusterAddresses } from './service.ts'
export { configHash, loginAt, loginsIn, runningConfig, type QueueLogin } from './queue-config.ts'

/** In the order in which they are to be made: a pod starts with its snapshot and its queue. */
export const objectsOf = (view: RelayView, snapshot: Snapshot, queueSecrets: Data, settings: ObjectSettings): Wanted[] => [
  { resource: resources.serviceAccount, object: { metadata: metadataOf(view.relay, 'relay'), automountServiceAccountToken: false } },
  ...snapshotSecrets(view.relay, snapshot),
  ...queueObjects(view.relay, queueSecrets, settings),
  serviceOf(view),
  ...networkPolicies(view),
  deploymentOf(view, settings),
  { resource: resources.disruptionBudget, object: { metadata: metadataOf(view.relay, 'relay'), spec: { maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow', selector: { matchLabels: selectorOf(view.relay, 'relay') } } } }, // a pod that is not ready keeps no mail: it holds up no drain
]
