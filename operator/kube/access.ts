// Where the API server is and who we are to it: a kubeconfig, or the pod's own account. Reads files only.
import { Agent as PlainAgent } from 'node:http'
import { Agent, type AgentOptions, type RequestOptions } from 'node:https'
import type { Access, Prepared } from './request.ts'

export class AccessError extends Error {
  readonly code = 'NO_CLUSTER'
}

/** `kubeconfig`: a file; absent: KUBECONFIG, ~/.kube/config, or the account of the pod we run in. */
export const openAccess = async (kubeconfig?: string): Promise<Access> => {
  // the client of the Kubernetes project: every way to log in that kubectl knows, among them plugins and tokens that change; loaded when wanted, it is big
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  if (kubeconfig === undefined) config.loadFromDefault()
  else config.loadFromFile(kubeconfig)
  const cluster = config.getCurrentCluster()
  if (!cluster) throw new AccessError(`no cluster is named by ${kubeconfig ?? 'KUBECONFIG, ~/.kube/config or the account of a pod'}`)
  const server = new URL(cluster.server)
  const own = server.protocol === 'https:' ? ownAgent() : () => plainAgent
  return {
    server,
    prepare: async () => {
      const options: Prepared = { headers: {} }
      await config.applyToHTTPSOptions(options)
      // its own agent opens a connection for every request; only a proxy needs it
      return cluster.proxyUrl === undefined ? { ...options, agent: own(options) } : options
    },
  }
}

const kept: AgentOptions = { keepAlive: true, maxFreeSockets: 10, timeout: 120_000 }
const plainAgent = new PlainAgent(kept)

/** One agent as long as the certificates stay the same: connections are kept, and a rotated client certificate gets new ones. */
const ownAgent = (): ((options: Prepared) => Agent) => {
  let made: { readonly of: string; readonly agent: Agent } | undefined
  return (options) => {
    const { ca, cert, key, rejectUnauthorized, servername }: RequestOptions = options
    const of = JSON.stringify([ca, cert, key, rejectUnauthorized, servername].map(String))
    if (made?.of === of) return made.agent
    const agent = new Agent({ ...kept, ...present({ ca, cert, key, rejectUnauthorized, servername }) })
    made = { of, agent }
    return agent
  }
}

const present = <T extends object>(fields: T): Partial<T> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
