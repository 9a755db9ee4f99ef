// The listeners of a snapshot: ports to open, certificates, limits with units resolved. Pure.
import { waitOf, type ListenerSpec } from '../../../crds/index.ts'
import type { SnapshotInput } from '../../../relay/snapshot/index.ts'
import { nothingSeen, titleOf, type Seen } from '../input.ts'
import { normalPatterns } from '../names.ts'
import { addressCounts } from '../source-address.ts'
import { closedFor } from '../trust.ts'
import type { RelayView } from '../view.ts'
import { certificateNameOf } from './certificates.ts'
import { offeredAuth } from './listener-auth.ts'
import { bindPortOf } from './ports.ts'
import { present } from './present.ts'

export const listenersOf = (view: RelayView, known: ReadonlySet<string>, takesTokens: boolean, seen: Seen = nothingSeen): SnapshotInput['listeners'] =>
  view.listeners.map((listener) => {
    const certificate = certificateNameOf(view, listener)
    return {
      name: listener.name,
      manifest: titleOf(view.relay),
      protocol: listener.protocol,
      port: listener.port,
      bindPort: bindPortOf(listener.port),
      auth: offeredAuth(listener, takesTokens),
      foreignDomains: normalPatterns(listener.allowedSenders.foreignDomains),
      sourceAddressPreserved: addressCounts(view.relay, listener, seen),
      relayingClosed: closedFor(view, listener, seen) !== undefined,
      bareNewlines: listener.bareNewlines,
      limits: limitsOf(listener.limits),
      ...(known.has(certificate) && { tls: { certificate, ...present({ minVersion: listener.tls?.minVersion }) } }),
      ...(listener.proxyProtocol && { proxyProtocol: { trustedCIDRs: [...listener.proxyProtocol.trustedCIDRs] } }),
    }
  })

const limitsOf = (limits: ListenerSpec['limits']): NonNullable<SnapshotInput['listeners'][number]['limits']> =>
  present({
    connections: limits?.connections,
    connectionsPerSource: limits?.connectionsPerSource,
    messagesPerConnection: limits?.messagesPerConnection,
    recipientsPerMessage: limits?.recipientsPerMessage,
    messageBytes: limits?.maxMessageBytes,
    headerBytes: limits?.maxHeaderBytes,
    headers: limits?.headers,
    received: limits?.received,
    errors: limits?.errors,
    commandSeconds: seconds(limits?.commandTimeout),
    dataSeconds: seconds(limits?.dataTimeout),
    messageSeconds: seconds(limits?.messageTimeout),
    greetingSeconds: seconds(limits?.greetingTimeout),
  })

const seconds = (text: string | undefined): number | undefined => (text === undefined ? undefined : waitOf(text))
