// What the operator makes for the servers of a queue, on real servers, with a relay's queue that goes on: logins and CAs are rotated, servers are added, and nothing is lost.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { documentsOf, gather } from '../operator/gather/internal.ts'
import { authorityFrom, authorityIn, queueSecretsFrom } from '../operator/make/index.ts'
import type { Data } from '../operator/plan/index.ts'
import { configHash, configOf, queueCertificateNames } from '../operator/plan/index.ts'
import { aMessage, delivered, deliverer, openTestQueue } from '../relay/queue/fixtures.ts'
import type { Queue } from '../relay/queue/index.ts'
import { startSecuredNats, type SecuredNats } from './tools/secured-nats.ts'
import { until } from './tools/until.ts'

const relayWith = (replicas: number) => gather(documentsOf('m.yaml', JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'main', namespace: 'mail' }, spec: { hostname: 'mx.example', queue: { managed: { replicas } } } })).documents).declared.relays[0]!

/** As reconcile does it: what is kept, and what it becomes. */
const secretsAfter = (kept: Data, authority: Data, given: { now: Date; rotate?: string; running?: string; replicas?: number }): Data => {
  const relay = relayWith(given.replicas ?? 3)
  const names = [...queueCertificateNames(relay, 'cluster.local'), '127.0.0.1', 'localhost'] // which the servers of this test have
  const secrets = queueSecretsFrom(kept, { names, rotate: given.rotate, running: given.running }, authorityIn(authority as ReturnType<typeof authorityFrom>), given.now)
  return { ...secrets, 'nats.conf': configOf(relay, secrets, 'cluster.local') }
}

describe('the queue of a relay while its servers are changed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-login-'))
  const queues: Queue[] = []
  const seen = new Set<string>()
  const sent: string[] = []
  let now = new Date()
  let authority: Data = authorityFrom({}, now)
  let secrets = secretsAfter({}, authority, { now })
  let nats: SecuredNats
  let sending = true
  let refused = 0
  let stream: Promise<void>

  /** What is mounted into a relay pod. */
  const mount = (given: Data): void => {
    mkdirSync(join(folder, 'queue'), { recursive: true })
    for (const name of ['username', 'password', 'ca.crt']) writeFileSync(join(folder, 'queue', name), given[name]!)
  }
  const open = async (pod: string, replicas: 3 | 5 = 3): Promise<Queue> => {
    const queue = await openTestQueue({ urls: nats.urls, monitorUrls: nats.monitorUrls } as never, { pod, replicas, secrets: join(folder, 'queue') })
    queues.push(queue)
    await queue.start(deliverer((delivery) => (seen.add(delivery.message), delivered)))
    await until(`${pod}: ${queue.durable().text}`, () => queue.durable().ok, 60_000)
    return queue
  }
  const offer = async (queue: Queue): Promise<void> => {
    while (sending) {
      const message = aMessage()
      const answer = await queue.accept(message)
      if (answer.kind === 'stored') sent.push(message.id)
      else refused += 1
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  /** New connections work with what is mounted now. */
  const connects = async (pod: string): Promise<void> => {
    const count = sent.length
    await open(pod)
    await until('mail goes on', () => sent.length > count + 20, 60_000)
  }

  before(async () => {
    nats = await startSecuredNats(3, secrets)
    mount(secrets)
    stream = offer(await open('pod-1'))
  })
  after(async () => {
    sending = false
    await stream
    for (const queue of queues) await queue.close()
    await nats.stop()
    rmSync(folder, { recursive: true })
  })

  it('gets a new password in 3 steps, 2 of which restart the servers one at a time', async () => {
    const old = secrets
    secrets = secretsAfter(secrets, authority, { now, rotate: 'once', running: configHash(secrets) })
    await nats.roll(secrets)
    await connects('pod-2') // still with the first
    const both = configHash(secrets)
    secrets = secretsAfter(secrets, authority, { now, rotate: 'once', running: both })
    assert.equal(configHash(secrets), both)
    mount(secrets)
    await connects('pod-3') // with the second
    now = new Date(now.getTime() + 11 * 60_000)
    secrets = secretsAfter(secrets, authority, { now, rotate: 'once', running: both })
    assert.ok(!secrets['nats.conf']!.includes(old.password!))
    await nats.roll(secrets) // who was connected with the first comes back with the second
    await connects('pod-4')
  })

  it('gets another CA: first trusted beside the 1st, then signing', async () => {
    // the servers' clock is the real one: a CA that ends in a year and a month, as if it had been made nine years ago
    const aged = authorityFrom({}, new Date(Date.now() - 3_260 * 86_400_000))
    for (const [name, days] of [['aged', 0], ['with its successor', 0], ['followed by it', 2]] as const) {
      authority = name === 'aged' ? { ...aged, 'previous.crt': authority['ca.crt']! } : authorityFrom(authority, new Date(Date.now() + days * 86_400_000))
      if (name === 'followed by it') assert.equal(authority['previous.crt'], aged['ca.crt'])
      // the trust goes out before anything is signed by it: between two steps lies a day
      secrets = { ...secrets, 'ca.crt': authorityIn(authority as ReturnType<typeof authorityFrom>).trust }
      mount(secrets)
      await nats.roll(secrets)
      secrets = secretsAfter(secrets, authority, { now: new Date(), rotate: 'once', running: configHash(secrets) })
      await nats.roll(secrets)
      await connects(`pod ${name}`)
    }
  })

  it('grows from 3 servers to 5, and its 2 streams with it', async () => {
    secrets = secretsAfter(secrets, authority, { now, rotate: 'once', replicas: 5 })
    await nats.roll(secrets, 5)
    const queue = await open('pod-grown', 5)
    assert.match(queue.durable().text, /majority of 5 servers/)
    await until('accepts', () => sent.length > 0)
  })

  it('has lost 0 messages of all that were stored', async (t) => {
    sending = false
    await stream
    await until('all delivered', () => sent.every((id) => seen.has(id)), 60_000)
    t.diagnostic(`${sent.length} stored and delivered, ${refused} not stored`)
    assert.ok(sent.length > 100)
  })
})
