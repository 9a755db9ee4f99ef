// Pods of a cluster may have IPv6 addresses only, or of both families: a relay on all addresses is reached by either, and says who came.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { urlHost } from '../relay/snapshot/index.ts'
import { startTestNats } from './tools/nats.ts'
import { copyManifests, startFleet } from './tools/relay-process.ts'
import { startSink } from './tools/sink.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { until } from './tools/until.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'))

test('a relay on [::] takes mail and answers for its health over IPv4 and IPv6, and writes down 2 clients in plain forms', { skip: !hasIpv6 && 'there is no IPv6 here' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-families-'))
  const [nats, sink] = await Promise.all([startTestNats(), startSink()])
  const manifests = copyManifests(join(import.meta.dirname, 'scenarios/s-17-queue-full'), join(folder, 'manifests'), { 2626: sink.port })
  const fleet = await startFleet({ folder: join(folder, 'fleet'), manifests, nats, count: 1, hosts: [{ name: 'everywhere', address: '[::]', enter: [] }] })
  t.after(async () => {
    await fleet.stop()
    await Promise.all([nats.stop(), sink.close()])
    rmSync(folder, { recursive: true })
  })
  const relay = fleet.relays[0]!
  for (const host of ['127.0.0.1', '::1']) {
    const client = await openSmtp(relay.ports.mx!, { host })
    await client.say('EHLO client.example')
    const said = await sendMail(client, { from: 'joe@client.example', to: ['fred@browncow.example'], data: 'Subject: hello\r\n\r\nhello\r\n' })
    assert.equal(said.data?.code, 250, said.data?.text ?? said.mail.text)
    client.close()
    assert.equal((await fetch(`http://${urlHost(host)}:${relay.httpPort}/readyz`)).status, 200)
  }
  await until('both to arrive', () => sink.arrivals.length === 2)
  const received = sink.arrivals.map(({ data }) => /^Received: from \S+ \(\[([^\]]+)\]\)/m.exec(data.toString())?.[1])
  assert.deepEqual(new Set(received), new Set(['127.0.0.1', 'IPv6:::1']))
})
