// Posthouse in a cluster, as its users put it there: the chart, their manifests, a mail store behind, and mail sent to the Service.
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Ctx } from '../../scenarios/story.ts'
import { runChild } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { helm } from './helm.ts'
import { program as kubectlPath } from './kubectl.ts'
import { nodeName } from './node.ts'
import { volume } from './manifests.ts'
import type { Joined } from './shared.ts'
import { cleanSlate } from './slate.ts'

export { helm }
export const operatorNamespace = 'posthouse'
const root = join(import.meta.dirname, '../../..')

const state = { isClean: false }

/** Once per story, at its first install: a cluster that holds nothing of an earlier one. */
export const startClean = async (cluster: Joined): Promise<void> => {
  if (state.isClean) return
  await cleanSlate(cluster)
  state.isClean = true
}

/**
 * `helm install`, with further flags where a story wants them, into a cluster that holds nothing of an earlier story. In a cluster of our own what it made stays at the end, so that a
 * failure can be looked at, and goes before the next story; in a person's it goes at the end of the story.
 */
export const install = async (cluster: Joined, ctx: Ctx, ...more: string[]): Promise<void> => {
  await startClean(cluster)
  const [repository, tag] = cluster.images.posthouse.split(/:(?=[^/]*$)/) as [string, string]
  const images = [`image.repository=${repository}`, `image.tag=${tag}`, `nats.image=${cluster.images.nats}`]
  await helm(cluster, 'upgrade', '--install', 'posthouse', join(root, 'charts/posthouse'), '--namespace', operatorNamespace, '--create-namespace', '--set', images.join(','), ...more, '--wait', '--timeout', '3m')
  if (!cluster.own) ctx.cleanup(() => helm(cluster, 'uninstall', 'posthouse', '--namespace', operatorNamespace, '--wait', '--ignore-not-found'))
}

/** Where our own cluster has no storage of its own: volumes of the class `test-local`, in the folder of the run. */
export const giveVolumes = async ({ own, kubectl }: Joined, name: string, count: number): Promise<void> => {
  if (!own) return
  const paths = Array.from({ length: count }, (_, n) => join(own.folder, 'volumes', `${name}-${n}`))
  for (const path of paths) mkdirSync(path, { recursive: true, mode: 0o777 })
  await kubectl.apply(...paths.map((path, n) => volume(`${name}-${n}`, path, nodeName)))
}

/** examples/cluster with a mail store behind it, all of it Ready. */
export const applyExamples = async (cluster: Joined, ctx: Ctx): Promise<void> => {
  const { kubectl } = cluster
  await giveVolumes(cluster, ctx.home.slice(ctx.home.lastIndexOf('/') + 1).slice(0, 4), 3)
  await kubectl('apply', '--filename', join(root, 'examples/cluster'))
  if (!cluster.own) ctx.cleanup(() => removeNamespaces(cluster, 'mail', 'shop'))
  await startMailstore(cluster)
  await kubectl('wait', '--namespace', 'mail', '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')
  await kubectl('wait', '--namespace', 'mail', '--for=condition=Ready', 'pod/mailstore', '--timeout=300s')
}

/** Quickly: relays would wait for a queue that goes with them, and the MailRelay for the mail in it. */
export const removeNamespaces = async ({ kubectl }: Joined, ...names: readonly string[]): Promise<void> => {
  const { output } = await kubectl.may('get', 'mailrelay', '--namespace', names[0]!, '--output=jsonpath={.items[*].metadata.name}')
  // by hand, for there may be no operator any more
  for (const relay of output.split(' ').filter((name) => /^[a-z0-9-]+$/.test(name))) await kubectl.may('patch', 'mailrelay', relay, '--namespace', names[0]!, '--type=merge', '--patch={"metadata":{"annotations":{"posthouse.dev/discard-queue":"true"},"finalizers":null}}')
  await kubectl.may('delete', 'pods', '--all', '--namespace', names[0]!, '--grace-period=1')
  await kubectl('delete', 'namespace', ...names)
}

export const startMailstore = ({ kubectl, images }: Joined): Promise<unknown> => kubectl.applyText(readFileSync(join(import.meta.dirname, 'mailstore.yaml'), 'utf8').replace('POSTHOUSE_IMAGE', images.posthouse))

/** A session from a pod inside the cluster; what both sides said. */
export const talkFrom = async ({ kubectl, images }: Joined, namespace: string, target: string, ...lines: string[]): Promise<string> => {
  const name = `talk-${Date.now().toString(36)}`
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{ name: 'talk', image: images.posthouse, imagePullPolicy: 'IfNotPresent', args: ['talk', target, ...lines], securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } } }],
    },
  })
  await until('the session to end', async () => ['Succeeded', 'Failed'].includes((await kubectl.json<{ status: { phase: string } }>('get', 'pod', name, '-n', namespace)).status.phase), 240_000, 300)
  const said = await kubectl('logs', name, '-n', namespace)
  await kubectl.may('delete', 'pod', name, '-n', namespace, '--wait=false')
  return said
}

/** The CLI in a relay's pod, `pod/NAME` or `deployment/NAME`: what it says with --json. */
export const inRelay = async <T>(kubectl: Joined['kubectl'], namespace: string, target: string, ...args: string[]): Promise<T> =>
  JSON.parse(await kubectl('exec', '--namespace', namespace, target, '--', '/usr/local/bin/node', '/app/bin/posthouse.mjs', ...args, '--json')) as T

/** `kubectl posthouse -n mail …`, as a person at this machine has it: the plugin of bin/ on PATH. */
export const kubectlPosthouse = ({ kubeconfig }: Joined, ...args: string[]): Promise<{ code: number; output: string; stdout: string }> =>
  runChild(kubectlPath(), ['posthouse', '--namespace', 'mail', ...args], { mayFail: true, env: { ...process.env, KUBECONFIG: kubeconfig, PATH: [join(root, 'bin'), dirname(kubectlPath()), process.env.PATH].join(':') } })

export const mail = (from: string, to: string, subject: string): string[] => ['EHLO client.example', `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA', `From: ${from}`, `Subject: ${subject}`, '', 'hello', '.', 'QUIT']
