// A relay process on a NATS server of somebody else: with user, password and a certificate of its own, which are changed while it runs; and what it does and tells once it is to go.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { certificateFor, newAuthority } from '../operator/make/index.ts'
import type { Data } from '../operator/plan/index.ts'
import { writeSnapshot } from '../relay/snapshot/index.ts'
import { startFleet, type Relay, type RelayFleet } from './tools/relay-process.ts'
import { startSecuredNats, type SecuredNats } from './tools/secured-nats.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { until } from './tools/until.ts'

const manifests = `
apiVersion: posthouse.dev/v1alpha1
kind: MailRelay
metadata: {name: main, namespace: mail}
spec: {hostname: relay.example, queue: {managed: {replicas: 1}}, listeners: [{name: mx, protocol: SMTP, port: 25}]}
---
apiVersion: posthouse.dev/v1alpha1
kind: MailDomain
metadata: {name: browncow, namespace: mail}
spec: {domain: browncow.example, inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: 127.0.0.1, port: 9}]}}}
`
/** Who has no certificate of this CA is not even heard. */
const config = (password: string): string => `server_name: $POD_NAME
port: 4222
http_port: 8222
tls { cert_file: "/etc/nats/tls.crt", key_file: "/etc/nats/tls.key", ca_file: "/etc/nats/ca.crt", verify: true }
authorization { user: "theirs", password: "${password}" }
jetstream { store_dir: "/data/jetstream", sync_interval: always }
`
const mailTo = async (port: number): Promise<string> => {
  const client = await openSmtp(port)
  await client.say('EHLO client.example')
  const said = await sendMail(client, { from: 'joe@elsewhere.example', to: ['fred@browncow.example'], data: 'Subject: x\r\n\r\nhello\r\n' })
  return (said.data ?? said.mail).text
}
type Told = { readonly closing?: boolean; readonly remains?: { readonly ready: number; readonly deferred: number; readonly held: number; readonly empty: boolean } }

describe('a relay on a NATS server of somebody else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-external-'))
  const secrets = join(folder, 'secrets')
  const authority = newAuthority(new Date())
  let nats: SecuredNats
  let fleet: RelayFleet
  let relay: Relay

  const mount = (files: Data): void => {
    mkdirSync(secrets, { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(join(secrets, name), text)
  }
  const pair = (names: readonly string[], of = authority): Data => {
    const { certificate, key } = certificateFor(names, of, new Date())
    return { 'tls.crt': certificate, 'tls.key': key }
  }
  const told = async (): Promise<Told> => (await (await fetch(`http://127.0.0.1:${relay.httpPort}/status`)).json()) as Told

  before(async () => {
    nats = await startSecuredNats(1, { ...pair(['localhost', '127.0.0.1']), 'ca.crt': authority.certificate, 'nats.conf': config('first') })
    mount({ ...pair(['relay']), 'ca.crt': authority.certificate, username: 'theirs', password: 'first\n' })
    mkdirSync(join(folder, 'manifests'))
    writeFileSync(join(folder, 'manifests', 'relay.yaml'), manifests)
    fleet = await startFleet({ folder: join(folder, 'relay'), manifests: join(folder, 'manifests'), nats: { urls: [nats.urls[0]!], monitorUrls: nats.monitorUrls }, count: 1, listeners: ['mx'], replicas: 1, args: ['--nats-secrets', secrets] })
    relay = fleet.relays[0]!
  })
  after(async () => {
    await fleet.stop()
    await nats.stop()
    rmSync(folder, { recursive: true })
  })

  it('brings user, password and certificate, sees that the server syncs, and stores 1 mail', async () => {
    const { durable } = await relay.ask<{ durable: { reason: string } }>('status')
    assert.equal(durable.reason, 'Durable')
    assert.match(await mailTo(relay.ports.mx!), /^250 2\.0\.0 /)
  })

  it('goes on with another password and another CA, in 1 process that is never restarted', async () => {
    const pid = relay.child.pid
    const other = newAuthority(new Date())
    mount({ ...pair(['relay'], other), 'ca.crt': authority.certificate + other.certificate, password: 'second' })
    await nats.roll({ ...pair(['localhost', '127.0.0.1'], other), 'ca.crt': other.certificate, 'nats.conf': config('second') })
    await until('a mail is stored again', async () => (await mailTo(relay.ports.mx!)).startsWith('250'), 60_000, 500)
    assert.deepEqual([relay.child.pid, relay.child.running()], [pid, true])
  })

  it('that is to go refuses new mail with 451 4.3.2, tells of the 2 it has, and of 0 when they are gone', async () => {
    await until('both are deferred', async () => (await relay.ask<{ deferred: number }[]>('summary'))[0]?.deferred === 2, 60_000)
    assert.equal((await told()).closing, undefined)
    writeSnapshot(join(folder, 'relay', 'snapshot'), { ...fleet.snapshot, relay: { ...fleet.snapshot.relay, closing: true } })
    await until('it takes in that it is to go', async () => (await told()).closing === true, 30_000)
    assert.match(await mailTo(relay.ports.mx!), /^451 4\.3\.2 MailRelay mail\/main is being removed/)
    // one that is due at this very moment is ready, for as long as its attempt takes
    await until('it tells of 2 that wait', async () => JSON.stringify((await told()).remains) === JSON.stringify({ ready: 0, deferred: 2, held: 0, empty: false }), 60_000)
    // one that is due at this very moment is left, and said so: whoever gave the order gives it again
    await until('both are deleted', async () => (await relay.posthouse('queue', 'delete', '--domain', 'browncow.example', '--yes')).code === 0, 60_000, 1_000)
    await until('the queue is empty, for certain', async () => (await told()).remains?.empty === true, 60_000)
  })
})
