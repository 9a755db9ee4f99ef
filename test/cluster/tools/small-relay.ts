// The smallest MailRelay that runs, in a namespace of a story's own: one pod, one NATS server, one hosted domain; and strangers who come to it from inside and from outside.
import assert from 'node:assert/strict'
import type { Ctx } from '../../scenarios/story.ts'
import { openLine } from '../../tools/talk.ts'
import { until } from '../../tools/until.ts'
import { giveVolumes, mail, talkFrom } from './posthouse.ts'
import type { Joined } from './shared.ts'

export type Told = { readonly type: string; readonly status: string; readonly reason: string; readonly message: string; readonly observedGeneration?: number }
type Listener = { readonly name: string; readonly closedFor?: string; readonly hiddenFor?: string; readonly conditions: readonly Told[] }
type Status = { readonly revision?: string; readonly conditions?: readonly Told[]; readonly listeners?: readonly Listener[] }

export class SmallRelay {
  readonly cluster: Joined
  readonly namespace: string

  constructor(cluster: Joined, namespace: string) {
    this.cluster = cluster
    this.namespace = namespace
  }

  /** Its namespace, the relay and domain hosted.example; there when it is Ready. */
  async make(ctx: Ctx, service: object = {}): Promise<void> {
    const { kubectl } = this.cluster
    await giveVolumes(this.cluster, this.namespace, 1)
    await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } })
    const end = async (): Promise<void> => {
      await kubectl.may('annotate', 'mailrelay', '--all', '--namespace', this.namespace, '--overwrite', 'posthouse.dev/discard-queue=true')
      await kubectl.may('delete', 'pods', '--all', '--namespace', this.namespace, '--grace-period=1')
      await kubectl.may('delete', 'namespace', this.namespace)
    }
    if (!this.cluster.own) ctx.cleanup(end) // in a cluster of our own a failure can be looked at until the next story
    await this.relay({ service })
    await this.apply('MailDomain', 'hosted', this.hosted)
    await kubectl('wait', '--namespace', this.namespace, '--for=condition=Ready', 'mailrelay/main', '--timeout=300s')
  }

  get hosted(): object {
    return { domain: 'hosted.example', inbound: { recipients: { mode: 'Any' }, deliverTo: { hosts: [{ host: `nobody.${this.namespace}.svc`, port: 2525 }] } } }
  }

  relay(change: object): Promise<void> {
    return this.apply('MailRelay', 'main', { hostname: 'mx.hosted.example', replicas: 1, listeners: [{ name: 'mx', protocol: 'SMTP', port: 25 }, { name: 'submission', protocol: 'Submission', port: 587 }], queue: { managed: { replicas: 1, storage: { size: '1Gi' } } }, ...change })
  }

  apply(kind: string, name: string, spec: object): Promise<void> {
    return this.cluster.kubectl.apply({ apiVersion: 'posthouse.dev/v1alpha1', kind, metadata: { name, namespace: this.namespace }, spec })
  }

  allow(...sources: string[]): Promise<void> {
    return this.apply('RelayPolicy', 'old-hosts', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'old-hosts', match: { sources }, action: 'Allow' }] })
  }

  async status(): Promise<Status> {
    return (await this.look('mailrelay', 'main')).status ?? {}
  }

  private look(kind: string, name: string): Promise<{ readonly metadata: { readonly generation: number }; readonly status?: Status }> {
    return this.cluster.kubectl.json('get', kind, name, '-n', this.namespace)
  }

  /** Waits for a condition of the newest generation to have this reason, of the object or of listener mx. */
  becomes(type: string, reason: string, { kind = 'mailrelay', name = 'main', ms = 180_000 } = {}): Promise<Told> {
    return until(`${kind} ${name}: ${type} for ${reason}`, async () => {
      const { metadata, status: { conditions = [], listeners = [] } = {} } = await this.look(kind, name)
      const told = [...conditions, ...(listeners.find((one) => one.name === 'mx')?.conditions ?? [])]
      return told.find((one) => one.type === type && one.reason === reason && one.observedGeneration === metadata.generation)
    }, ms, 200)
  }

  /** "StrangerRelayed MailRelay main" of every Event there. */
  async events(): Promise<string[]> {
    const { items } = await this.cluster.kubectl.json<{ items: readonly { readonly reason: string; readonly regarding: { readonly kind: string; readonly name: string } }[] }>('get', 'events.events.k8s.io', '-n', this.namespace)
    return items.map(({ reason, regarding }) => `${reason} ${regarding.kind} ${regarding.name}`)
  }

  async nodePort(): Promise<{ host: string; port: number }> {
    const { spec } = await this.cluster.kubectl.json<{ spec: { ports: readonly { readonly name: string; readonly nodePort: number }[] } }>('get', 'service', 'main', '-n', this.namespace)
    const host = await this.cluster.kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
    return { host, port: spec.ports.find(({ name }) => name === 'mx')!.nodePort }
  }

  async clusterIp(): Promise<{ host: string; port: number }> {
    return { host: await this.cluster.kubectl('get', 'service', 'main', '-n', this.namespace, '-o', 'jsonpath={.spec.clusterIP}'), port: 25 }
  }

  /** From a pod, through the Service: what both sides said. */
  fromPod(to = 'fred@far.example'): Promise<string> {
    return talkFrom(this.cluster, this.namespace, `main.${this.namespace}.svc.cluster.local:25`, ...mail('joe@client.example', to, 'from a pod'))
  }
}

/** From this machine, which is outside the cluster; the reply to RCPT where it is refused, else to the final dot. */
export const fromOutside = async (where: { readonly host: string; readonly port: number }, to = 'fred@far.example'): Promise<string> => {
  const line = await openLine(where)
  try {
    assert.match((await line.reply(30_000))?.[0] ?? 'closed', /^220 /)
    for (const text of ['EHLO client.example', 'MAIL FROM:<joe@client.example>']) assert.match(await line.ask(text), /^250 /)
    const taken = await line.ask(`RCPT TO:<${to}>`)
    if (!taken.startsWith('250')) return taken
    assert.match(await line.ask('DATA'), /^354 /)
    return await line.ask('Subject: from outside\r\n\r\nhello\r\n.')
  } finally {
    line.destroy()
  }
}
