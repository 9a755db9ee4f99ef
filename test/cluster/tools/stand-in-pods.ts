// Where no node runs pods: one server that answers the operator as the pods of a relay would.
import { createServer, type Server } from 'node:http'
import { pathOf, type KubeObject } from '../../../operator/kube/index.ts'
import { core, resourceOf, type OperatorWorld } from './operator.ts'

const podResource = core('Pod', 'pods')

type Remains = { readonly ready: number; readonly deferred: number; readonly held: number; readonly empty: boolean }
export type StandIn = { remains: Remains | null; stop(): Promise<void> }

/** It says the revision that the snapshot has. */
export const standInForPods = async ({ kube, get }: OperatorWorld, relay: string, namespace = 'mail'): Promise<StandIn> => {
  const address = `127.${1 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}.${2 + Math.floor(Math.random() * 250)}`
  const standIn: { remains: Remains | null } = { remains: { ready: 0, deferred: 0, held: 0, empty: true } }
  const answer = async (): Promise<object> => {
    const live = await get(resourceOf('MailRelay'), relay, namespace)
    const { revision } = (live?.status ?? {}) as { revision?: string }
    const leaving = live?.metadata.deletionTimestamp !== undefined
    return { revision, durable: { ok: true, reason: 'Durable', text: 'as told' }, ...(leaving && { closing: true, remains: standIn.remains }) }
  }
  const server: Server = createServer((_, response) => void answer().then((body) => response.end(JSON.stringify(body)), () => response.destroy()))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(9464, address, resolve))
  const place = async (): Promise<void> => {
    const { items } = await kube.call<{ items: KubeObject[] }>({ path: pathOf(podResource, { namespace }), query: { labelSelector: `app.kubernetes.io/instance=${relay},app.kubernetes.io/component=relay` } })
    const waiting = items.filter((pod) => (pod.status as { podIP?: string }).podIP === undefined)
    for (const { metadata } of waiting)
      await kube.call({ method: 'PATCH', path: pathOf(podResource, { namespace, name: metadata.name, subresource: 'status' }), contentType: 'application/merge-patch+json', body: { status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }], conditions: [{ type: 'Ready', status: 'True' }] } } }).catch(() => {})
  }
  const timer = setInterval(() => void place().catch(() => {}), 300)
  return Object.assign(standIn, {
    stop: async () => {
      clearInterval(timer)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
