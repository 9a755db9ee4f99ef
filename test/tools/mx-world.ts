// A small Internet on one machine: a name server, MX hosts on loopback addresses of their own (all on one port), and a relay that asks them.
import { join } from 'node:path'
import { freePort } from '../../cli/standalone/nats-process.ts'
import type { Ctx } from '../scenarios/story.ts'
import { startTestDns, type TestDns, type Zone } from './dns-server.ts'
import { copyManifests, startStandalone, type Standalone } from './relay-process.ts'
import { startSink, type Sink, type SinkRules } from './sink.ts'
import { openSmtp, sendMail, type Reply } from './smtp-client.ts'

export type MxWorld = {
  readonly dns: TestDns
  readonly port: number // of every MX host
  readonly relay: Standalone
  /** An MX host: its name gets this address in DNS. Closed at the end. */
  host(name: string, address: string, rules?: SinkRules): Promise<Sink>
  /** One mail through the relay; returns the reply to its dot. */
  send(to: string | readonly string[], options?: { from?: string; data?: string; parameters?: string }): Promise<Reply>
}

/** Manifests of the scenario, with its name server in place of 127.0.0.1:5300. */
export const startMxWorld = async (ctx: Ctx, zones: Readonly<Record<string, Zone>>): Promise<MxWorld> => {
  const dns = await startTestDns(zones)
  ctx.cleanup(() => dns.close())
  const port = await freePort()
  const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 5300: dns.nameserver.split(':')[1]! })
  // as in life, where it is an MX itself: on the port of all
  const relay = await startStandalone({ folder: ctx.folder, manifests, ports: { mx: port, submission: await freePort() }, args: ['--test-mx-port', String(port)] })
  ctx.cleanup(() => relay.stop())
  return {
    dns,
    port,
    relay,
    host: async (name, address, rules = {}) => {
      dns.set(name, { a: [address] })
      const sink = await startSink({ ...rules, host: address, port })
      ctx.cleanup(() => sink.close())
      return sink
    },
    send: async (to, { from = 'sender@client.example', data = `From: ${from}\r\nSubject: test\r\n\r\nbody\r\n`, parameters } = {}) => {
      const client = await openSmtp(relay.ports.mx!)
      await client.say('EHLO client.example')
      const said = await sendMail(client, { from, to: typeof to === 'string' ? [to] : to, data, ...(parameters !== undefined && { parameters }) })
      client.close()
      if (said.data === undefined) throw new Error(`not taken: ${said.mail.text} ${said.recipients.map(({ text }) => text).join(' ')}`)
      return said.data
    },
  }
}
