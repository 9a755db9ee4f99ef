// A little of everything for one relay: mail that is delivered, refused, warned of, put off and returned. What tests of metrics look at.
import assert from 'node:assert/strict'
import type { Standalone } from './relay-process.ts'
import { openSmtp, sendMail } from './smtp-client.ts'
import { until } from './until.ts'

/** `port`: of the sink behind up.example; the host of down.example does not exist. */
export const exerciseManifests = (port: number, nameserver?: string): string => `
apiVersion: posthouse.dev/v1alpha1
kind: MailRelay
metadata: {name: main, namespace: mail}
spec: {hostname: relay.example, queue: {managed: {replicas: 1, storage: {size: 1Gi}}}${nameserver === undefined ? '' : `, resolver: {nameservers: ["${nameserver}"]}`}}
---
apiVersion: posthouse.dev/v1alpha1
kind: MailDomain
metadata: {name: up, namespace: mail}
spec: {domain: up.example, inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: 127.0.0.1, port: ${port}, tls: {mode: None}}]}}}
---
apiVersion: posthouse.dev/v1alpha1
kind: MailDomain
metadata: {name: down, namespace: mail}
spec: {domain: down.example, inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: no-such-host.example, port: 25}]}}}
---
apiVersion: posthouse.dev/v1alpha1
kind: RelayPolicy
metadata: {name: trial, namespace: mail}
spec:
  targetRefs: [{kind: MailRelay, name: main}]
  mode: Warn
  rules: [{name: nobody, match: {mailFrom: ["warned@up.example"]}, action: Deny, reply: not you}]
`

/** `whileOneWaits`: looked at while a mail is deferred, before it is returned. */
export const exercise = async (relay: Standalone, whileOneWaits: () => Promise<unknown>): Promise<void> => {
  const client = await openSmtp(relay.ports.mx!)
  try {
    await client.say('EHLO client.example')
    const data = 'Subject: x\r\n\r\nx\r\n'
    for (const [from, to] of [['warned@up.example', 'fred@up.example'], ['joe@up.example', 'fred@down.example']] as const) assert.equal((await sendMail(client, { from, to: [to], data })).data?.code, 250)
    assert.equal((await sendMail(client, { from: 'joe@up.example', to: ['fred@elsewhere.example'], data: '' })).recipients[0]!.code, 550)
    await until('one waits', async () => (await relay.posthouse('queue', 'list', '--state', 'deferred')).output.includes('fred@down.example'))
    await whileOneWaits()
    await until('it is returned', async () => (await relay.posthouse('queue', 'bounce', '--domain', 'down.example', '--yes')).code === 0)
  } finally {
    client.close()
  }
}
