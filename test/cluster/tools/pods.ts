// Pods of a cluster that is ours, and their processes as this machine sees them: to kill one is to kill it, whatever Kubernetes wished.
import { readdirSync, readFileSync } from 'node:fs'
import { urlHost } from '../../../relay/snapshot/index.ts'
import type { Kubectl } from './kubectl.ts'

export type Pod = {
  readonly name: string
  readonly uid: string
  readonly namespace: string
  readonly ip: string
  readonly ready: boolean
  /** Told to end. */
  readonly leaving: boolean
  readonly restarts: number
}

type Live = {
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string; readonly deletionTimestamp?: string }
  readonly status: { readonly podIP?: string; readonly conditions?: readonly { readonly type: string; readonly status: string }[]; readonly containerStatuses?: readonly { readonly restartCount: number }[] }
}

export const podsOf = async (kubectl: Kubectl, namespace: string, selector: string): Promise<Pod[]> => {
  const { items } = await kubectl.json<{ items: Live[] }>('get', 'pods', '--namespace', namespace, '--selector', selector)
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    namespace: metadata.namespace,
    ip: status.podIP ?? '',
    ready: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
    leaving: metadata.deletionTimestamp !== undefined,
    restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
  }))
}

/** A figure of a pod's metrics; undefined where it does not answer. */
export const gaugeOf = async ({ ip }: Pod, name: string): Promise<number | undefined> => {
  const text = await fetch(`http://${urlHost(ip)}:9464/metrics`, { signal: AbortSignal.timeout(5000) }).then((answer) => answer.text(), () => '')
  const found = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** The processes of a pod's containers; the one that holds its namespaces stays out of it. Empty between two lives of a container. */
export const processesOf = ({ uid }: Pick<Pod, 'uid'>): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(pid, 'cgroup').includes(`pod${uid}`) && !/^\/pause\0?/.test(read(pid, 'cmdline')))
    .map(Number)

/** SIGKILL, or SIGSTOP and SIGCONT: false where there was no process to signal. */
export const signalPod = (pod: Pick<Pod, 'uid'>, signal: NodeJS.Signals): boolean => {
  const pids = processesOf(pod)
  for (const pid of pids) process.kill(pid, signal)
  return pids.length > 0
}

const read = (pid: string, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return '' // gone meanwhile
  }
}
