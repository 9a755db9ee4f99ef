// The MailSenders of a snapshot, with the salted hash of their password and never the password. Pure.
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { keyOf, titleOf } from '../input.ts'
import type { RelayView } from '../view.ts'
import type { World } from '../world.ts'
import { present } from './present.ts'

export const sendersOf = ({ senders }: RelayView, world: World): NonNullable<SnapshotInput['senders']> =>
  senders.map(({ sender, listeners, from }) => {
    const auth = world.input.made.credentials[keyOf(sender)]
    return {
      namespace: sender.metadata.namespace,
      name: sender.metadata.name,
      manifest: titleOf(sender),
      listeners: [...listeners],
      from: [...from],
      allowNullSender: sender.spec.allowNullSender,
      limits: present(sender.spec.limits ?? {}),
      priority: sender.spec.priority,
      ...(auth && { auth }),
      ...present({ serviceAccount: sender.spec.identity.serviceAccountName }),
    }
  })
