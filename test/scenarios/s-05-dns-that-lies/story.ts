// A name server that lies, hangs, fails and truncates: the outcome of every row of the truth table, all at once, while others get their mail.
import assert from 'node:assert/strict'
import type { Zone } from '../../tools/dns-server.ts'
import { startMxWorld } from '../../tools/mx-world.ts'
import type { QueueEntry } from '../../../relay/queue/index.ts'
import { idIn, traceOf, type Relay } from '../../tools/relay-process.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const good = '127.0.0.3'

type Row = { readonly name: string; readonly zone: Zone | undefined; readonly more?: Readonly<Record<string, Zone>>; readonly ends: 'delivered' | RegExp; readonly failed?: true; readonly notes?: RegExp }

// the words in which the queue says 4.4.3 and 4.4.4
const lookupFailed = /looking up .* failed/
const noAddress = /none of the mail servers of .* has an address/

/** `ends`: delivered; a permanent status in the notice (failed); or a temporary one in the queue. `notes`: in the trace of the attempt. */
const rows: readonly Row[] = [
  { name: 'NXDOMAIN', zone: undefined, ends: /5\.1\.2/, failed: true },
  { name: 'NODATA for MX, an address', zone: { a: [good] }, ends: 'delivered' },
  { name: 'NODATA for MX and for addresses', zone: {}, ends: /5\.1\.2/, failed: true },
  { name: 'null MX', zone: { mx: [[0, '.']] }, ends: /5\.1\.10/, failed: true },
  { name: 'every MX host NXDOMAIN, though the domain has an address', zone: { mx: [[10, 'gone.example']], a: [good] }, ends: noAddress },
  { name: 'every MX host without address', zone: { mx: [[10, 'bare.example']] }, more: { 'bare.example': {} }, ends: noAddress },
  { name: 'SERVFAIL', zone: { does: 'servfail' }, ends: lookupFailed },
  { name: 'REFUSED', zone: { does: 'refused' }, ends: lookupFailed },
  { name: 'no answer', zone: { does: 'hang' }, ends: lookupFailed },
  { name: 'lame', zone: { does: 'lame' }, ends: lookupFailed },
  { name: 'garbage', zone: { does: 'garbage' }, ends: lookupFailed },
  { name: 'answers to another question', zone: { mx: [[10, 'good.example']], does: 'wrong-question' }, ends: lookupFailed },
  { name: 'answers with another id', zone: { mx: [[10, 'good.example']], does: 'wrong-id' }, ends: lookupFailed },
  { name: 'an attacker answers first', zone: { mx: [[10, 'good.example']], does: 'wrong-id-then-right' }, ends: 'delivered' },
  { name: 'truncated, TCP answers', zone: { mx: [[10, 'good.example']], does: 'truncate' }, ends: 'delivered' },
  { name: 'truncated, no TCP', zone: { mx: [[10, 'good.example']], does: 'truncate-without-tcp' }, ends: lookupFailed },
  { name: 'FORMERR to EDNS', zone: { mx: [[10, 'good.example']], does: 'formerr-on-edns' }, ends: 'delivered' },
  { name: 'slow, but it answers', zone: { mx: [[10, 'good.example']], does: { delayMs: 700 } }, ends: 'delivered' },
  { name: 'one MX host resolves, another fails', zone: { mx: [[10, 'ill.example'], [20, 'good.example']] }, more: { 'ill.example': { does: 'servfail' } }, ends: 'delivered' },
  { name: 'one MX host resolves, another hangs', zone: { mx: [[10, 'mute.example'], [20, 'good.example']] }, more: { 'mute.example': { does: 'hang' } }, ends: 'delivered' },
  { name: 'CNAME to a domain with MX', zone: { cname: 'real.example' }, more: { 'real.example': { mx: [[10, 'good.example']] } }, ends: 'delivered' },
  { name: 'CNAME loop', zone: { cname: 'loop2.example' }, more: { 'loop2.example': { cname: 'row21.example' } }, ends: lookupFailed },
  { name: 'MX that is a CNAME', zone: { mx: [[10, 'alias.example']] }, more: { 'alias.example': { cname: 'good.example' } }, ends: 'delivered', notes: /alias\.example is a CNAME for good\.example/ },
  { name: 'MX that is an address literal, and a good one', zone: { mx: [[10, '127.0.0.3'], [20, 'good.example']] }, ends: 'delivered', notes: /the MX 127\.0\.0\.3 is an address and no name/ },
  { name: 'MX with an empty label, and a good one', zone: { mx: [[10, 'a\\..b'], [20, 'good.example']] }, ends: 'delivered', notes: /the MX "a\.\.b" is no host name/ },
  { name: '200 MX hosts', zone: { mx: Array.from({ length: 200 }, (_, index): [number, string] => [10 + index, index === 0 ? 'good.example' : `h${index}.example`]) }, ends: 'delivered', notes: /200 MX hosts: only the best 20 are considered/ },
]

export const story: Story = {
  title: `A name server that lies, hangs, fails and truncates: ${rows.length} rows of the truth table`,
  needs: [],
  limitSeconds: 600,
  run: async (ctx) => {
    const world = await startMxWorld(ctx, { 'client.example': { mx: [[10, 'notices.example']] } })
    const notices = await world.host('notices.example', '127.0.0.5')
    const sink = await world.host('good.example', good)
    ctx.step(`${rows.length} domains, one mail each`)
    const ids: string[] = []
    for (const [number, row] of rows.entries()) {
      if (row.zone) world.dns.set(`row${number}.example`, row.zone)
      for (const [name, zone] of Object.entries(row.more ?? {})) world.dns.set(name, zone)
      const { text } = await world.send(`fred@row${number}.example`, { from: `row${number}@client.example` })
      ids.push(idIn(text))
    }
    for (const [number, row] of rows.entries()) {
      ctx.step(row.name)
      const seen = await until(
        `${row.name} to end as ${String(row.ends)}`,
        async () => {
          if (row.ends === 'delivered') return sink.recipients().includes(`fred@row${number}.example`)
          const said = row.failed === true ? notices.arrivals.find(({ recipients: [to] }) => to === `row${number}@client.example`)?.data.toString() : await waiting(world.relay, `row${number}.example`)
          return said !== undefined && said
        },
        100_000,
      )
      if (row.ends !== 'delivered') assert.match(String(seen), row.ends, `${row.name}: ${String(seen).slice(0, 1500)}`)
      if (row.notes) assert.match(await attemptNotes(world.relay, ids[number]!), row.notes)
    }
    const wrongly = notices.arrivals.map(({ recipients: [to] }) => to!).filter((to) => rows[Number(/\d+/.exec(to)![0])]!.failed !== true)
    assert.deepEqual(wrongly, [], 'nothing temporary became a bounce')
    ctx.note('rows', rows.length)
  },
}

/** What the queue says of the one mail to this domain after its first attempt. */
const waiting = async (relay: { ask<T>(call: string, args?: Record<string, unknown>): Promise<T> }, domain: string): Promise<string | undefined> => {
  const [entry] = await relay.ask<QueueEntry[]>('list', { domain, limit: 1 })
  if (entry?.state !== 'deferred') return undefined
  return JSON.stringify(entry)
}

/** What the trace says of the attempt beside its outcome. */
const attemptNotes = async (relay: Relay, id: string): Promise<string> => {
  const events = await until('the trace of the attempt', async () => {
    const all = await traceOf(relay, id)
    return all.some(({ kind }) => kind === 'delivered') && all
  })
  return events.filter(({ kind }) => kind === 'attempt').map(({ text }) => text).join('\n')
}
