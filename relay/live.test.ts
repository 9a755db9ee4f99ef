// A relay whose snapshot changes while it runs, in this process, on a real queue: it behaves as one that was started on what is there last.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { startTestNats, type TestNats } from '../test/tools/nats.ts'
import { openSmtp, sendMail } from '../test/tools/smtp-client.ts'
import { until } from '../test/tools/until.ts'
import { freePort } from '../cli/standalone/nats-process.ts'
import { startRelay, type RunningRelay } from './main.ts'
import { silentLog } from './report/index.ts'
import { parseSnapshot, writeSnapshot, type SnapshotInput } from './snapshot/index.ts'

const inputOf = (queue: string): SnapshotInput => ({
  version: 1,
  relay: { namespace: 'mail', name: 'main', manifest: 'MailRelay mail/main', hostname: 'mx1.relay.example', queue, queueReplicas: 1, queueBytes: 1e9, retrySchedule: 'patient', drainSeconds: 1, paused: true },
  listeners: [{ name: 'mx', manifest: 'MailRelay mail/main', protocol: 'SMTP', port: 25, bindPort: 2525 }],
  domains: [{ namespace: 'mail', name: 'h', manifest: 'MailDomain mail/h', domain: 'h.example', listeners: ['mx'], inbound: { recipients: { mode: 'Any' }, hosts: [{ host: '127.0.0.1', port: 9 }] } }],
  schedules: [{ name: 'patient', manifest: 'RetrySchedule patient', attempts: [60], giveUpAfter: 3_600 }],
})

describe('a relay whose snapshot changes while it runs', () => {
  let nats: TestNats
  before(async () => void (nats = await startTestNats()))
  after(() => nats.stop())

  const aRelay = async (t: TestContext, input: SnapshotInput) => {
    const folder = mkdtempSync(join(tmpdir(), 'posthouse-live-'))
    writeSnapshot(folder, parseSnapshot(input))
    const port = await freePort()
    const relay: RunningRelay = await startRelay({
      snapshotFolder: folder, natsUrls: nats.urls, monitorUrls: nats.monitorUrls, pod: 'live', log: silentLog,
      bind: () => ({ host: '127.0.0.1', port }), http: { host: '127.0.0.1', port: 0 }, adminSocket: join(folder, 'admin.sock'),
    })
    t.after(async () => (await relay.stop(), rmSync(folder, { recursive: true })))
    await until('it to be ready', () => relay.readiness().ready)
    const change = async (changed: SnapshotInput): Promise<void> => {
      const revision = writeSnapshot(folder, parseSnapshot(changed))
      await until('the change to count', () => relay.revision() === revision)
    }
    return { port, change, told: async () => (await (await fetch(`http://127.0.0.1:${relay.httpPort}/status`)).json()) as { durable: { reason: string; text: string } } }
  }
  const mailTo = async (port: number): Promise<string> => {
    const client = await openSmtp(port)
    await client.say('EHLO client.example')
    const { data, mail } = await sendMail(client, { from: 'joe@elsewhere.example', to: ['fred@h.example'], data: `Subject: x\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(150)}` })
    client.close()
    return (data ?? mail).text
  }

  it('takes mail again at once, 250 after 452, where a full queue of 400 KB is given a volume of 1 GB', async (t) => {
    const input = inputOf('grown')
    const { port, change } = await aRelay(t, { ...input, relay: { ...input.relay, queueBytes: 400_000 } })
    await until('the queue to be full', async () => (await mailTo(port)).startsWith('452 '))
    await change(input)
    assert.match(await mailTo(port), /^250 /)
  })

  it('wants 3 copies of its queue where 1 was enough, and says so of servers that cannot have them', async (t) => {
    const input = inputOf('copies')
    const { change, told } = await aRelay(t, input)
    assert.equal((await told()).durable.reason, 'Durable')
    await change({ ...input, relay: { ...input.relay, queueReplicas: 3 } })
    await until('it to look again', async () => (await told()).durable.text.includes('num_replicas is 1, not 3'))
    await change(input)
    await until('it to be content with 1', async () => (await told()).durable.reason === 'Durable')
  })
})
