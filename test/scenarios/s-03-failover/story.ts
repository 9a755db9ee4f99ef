// The primary MX is down or ill: secondary and tertiary take the mail in order, and only where they should be asked. Each row of the table.
import assert from 'node:assert/strict'
import { failedIn } from '../../tools/ledger.ts'
import { startMxWorld, type MxWorld } from '../../tools/mx-world.ts'
import type { Sink } from '../../tools/sink.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'
import { certificate, rows, type Row } from './rows.ts'

type Played = { readonly row: Row; readonly domain: string; readonly recipients: readonly string[]; readonly primary: Sink | undefined }

export const story: Story = {
  title: `Primary MX down: secondary, then tertiary; ${rows.length} rows of the failover table`,
  needs: [],
  limitSeconds: 600,
  run: async (ctx) => {
    const world = await startMxWorld(ctx, { 'client.example': { mx: [[10, 'notices.example']] }, 'down1.example': { a: ['127.0.1.201'] }, 'down2.example': { a: ['127.0.1.202'] } })
    const notices = await world.host('notices.example', '127.0.0.5')
    const secondary = await world.host('second.example', '127.0.0.3', { tls: certificate })
    const tertiary = await world.host('third.example', '127.0.0.4')

    ctx.step('primary and secondary are down: the tertiary takes it, asked last')
    world.dns.set('order.example', { mx: [[30, 'third.example'], [10, 'down1.example'], [20, 'down2.example']] })
    await world.send('fred@order.example')
    await until('the mail at the tertiary', () => tertiary.recipients().includes('fred@order.example'))

    ctx.step('the primary is up: the others are not asked')
    world.dns.set('up.example', { mx: [[20, 'third.example'], [10, 'second.example']] })
    await world.send('fred@up.example')
    await until('the mail at the better one', () => secondary.recipients().includes('fred@up.example'))
    assert.ok(!tertiary.recipients().includes('fred@up.example'))

    ctx.step(`${rows.length} rows`)
    const played: Played[] = []
    for (const [number, row] of rows.entries()) played.push(await play(world, row, number))
    for (const one of played) {
      ctx.step(one.row.name)
      await ended(one, secondary, notices)
    }
    assert.deepEqual([...secondary.faults, ...tertiary.faults, ...played.flatMap(({ primary }) => primary?.faults ?? [])], [])
    ctx.note('rows', rows.length)
  },
}

const play = async (world: MxWorld, row: Row, number: number): Promise<Played> => {
  const domain = row.route ? `row${number}.${row.route}.example` : `row${number}.example`
  const host = `mx.${domain}`
  const address = `127.0.1.${number + 1}`
  world.dns.set(domain, { mx: [[10, host], [20, 'second.example']] })
  world.dns.set(host, { a: [address] })
  const primary = row.primary && (await world.host(host, address, row.primary))
  const recipients = Array.from({ length: row.recipients ?? 1 }, (_, index) => `r${index}@${domain}`)
  await world.send(recipients, { from: `row${number}@client.example` })
  return { row, domain, recipients, primary }
}

const ended = async ({ row, domain, recipients, primary }: Played, secondary: Sink, notices: Sink): Promise<void> => {
  const at = (sink: Sink | undefined): string[] => sink?.recipients().filter((one) => one.endsWith(`@${domain}`)) ?? []
  const noticed = (): string[] => notices.arrivals.filter(({ recipients: [to] }) => to?.startsWith(`${domain.split('.')[0]}@`)).flatMap(({ data }) => failedIn(data.toString()))
  const taken = recipients.length - (row.fails ?? 0)
  const holder = row.ends === 'secondary' ? secondary : primary
  await until(`${row.name}: ${taken} delivered by the ${row.ends}, ${row.fails ?? 0} failed`, () => at(holder).length >= taken && noticed().length >= (row.fails ?? 0), 60_000)
  assert.equal(new Set(at(holder)).size, taken, `${row.name}: delivered`)
  assert.equal(noticed().length, row.fails ?? 0, `${row.name}: failed`)
  if (row.ends !== 'secondary') assert.deepEqual(at(secondary), [], `${row.name}: the secondary must not be asked`)
  assert.equal(at(holder).length, taken, `${row.name}: once`)
}
