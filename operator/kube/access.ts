// Where the API server is and who we are to it: a kubeconfig, or the pod's own account. Reads files only.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Agent as PlainAgent } from 'node:http'
import { Agent, type AgentOptions, type RequestOptions } from 'node:https'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { urlHost } from '../../relay/snapshot/index.ts'
import type { Access, Prepared } from './request.ts'

class AccessError extends Error {
  readonly code = 'NO_CLUSTER'
}

/** Where a pod finds the token of its ServiceAccount, the server's CA and its own namespace. */
const podAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** `kubeconfig`: a file; absent: KUBECONFIG, ~/.kube/config, or the account of the pod we run in. `account`: the folder of another one. */
export const openAccess = async (kubeconfig?: string, account?: string): Promise<Access> => {
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env
  const isNamed = kubeconfig !== undefined || KUBECONFIG !== undefined || existsSync(join(homedir(), '.kube/config'))
  const folder = account ?? (isNamed || !existsSync(join(podAccount, 'token')) ? undefined : podAccount)
  if (account !== undefined && host === undefined) throw new AccessError('a ServiceAccount goes with KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which say where the API server is')
  if (folder !== undefined && host !== undefined) return accountAccess(folder, host, port)
  // the client of the Kubernetes project: every way to log in that kubectl knows, among them plugins and tokens that change; loaded when wanted, it takes 70 MB
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

/** As the ServiceAccount whose token and CA lie in a folder, which the kubelet makes anew within the hour: they are read every `freshMs`. */
export const accountAccess = (folder: string, host: string, port: string, freshMs = 10_000): Access => {
  const own = ownAgent()
  let known: { readonly at: number; readonly prepared: Promise<Prepared> } | undefined
  const read = async (): Promise<Prepared> => {
    const [token, ca] = await Promise.all(['token', 'ca.crt'].map((name) => readFile(join(folder, name), 'utf8')))
    return { headers: { authorization: `Bearer ${token!.trim()}` }, agent: own({ ca }) }
  }
  return {
    server: new URL(`https://${urlHost(host)}:${port}`),
    prepare: () => {
      if (known === undefined || performance.now() - known.at > freshMs) known = { at: performance.now(), prepared: read() }
      known.prepared.catch(() => (known = undefined))
      return known.prepared
    },
  }
}

const kept: AgentOptions = { keepAlive: true, maxFreeSockets: 10, timeout: 120_000 }
const plainAgent = new PlainAgent(kept)

/** One agent as long as the certificates stay the same: connections are kept, and a rotated client certificate gets new ones. */
const ownAgent = (): ((options: RequestOptions) => Agent) => {
  let made: { readonly of: string; readonly agent: Agent } | undefined
  return (options) => {
    const { ca, cert, key, rejectUnauthorized, servername } = options
    const of = JSON.stringify([ca, cert, key, rejectUnauthorized, servername].map(String))
    if (made?.of === of) return made.agent
    const agent = new Agent({ ...kept, ...present({ ca, cert, key, rejectUnauthorized, servername }) })
    made = { of, agent }
    return agent
  }
}

const present = <T extends object>(fields: T): Partial<T> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
