// Retry at the stated interval for the stated period; the sender is told once that it is late, and once that it failed. In seconds; the days by the pure function.
import assert from 'node:assert/strict'
import { startMxWorld } from '../../tools/mx-world.ts'
import { failedIn } from '../../tools/ledger.ts'
import { queueLength } from '../../tools/relay-process.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

export const story: Story = {
  title: 'Retried at the stated interval for the stated period; then the sender is told',
  needs: [],
  mostlyWaits: true,
  run: async (ctx) => {
    const world = await startMxWorld(ctx, { 'busy.example': { mx: [[10, 'mx.busy.example']] }, 'client.example': { mx: [[10, 'mx.client.example']] } })
    const busy = await world.host('mx.busy.example', '127.0.0.2', { command: (verb) => (verb === 'RCPT' ? '452 4.2.2 mailbox full' : undefined) })
    const sender = await world.host('mx.client.example', '127.0.0.3')

    ctx.step('attempts after 1 s, then every 2 s; late after 4 s; given up after 10 s')
    await world.send('fred@busy.example', { data: 'From: sender@client.example\r\nSubject: the report\r\n\r\nbody\r\n' })
    await until('both notices', () => sender.arrivals.length >= 2, 100_000)
    const [late, failed] = sender.arrivals.map(({ data }) => data.toString()) as [string, string]

    ctx.step('the intervals')
    const times = busy.commands.filter(({ line }) => line.startsWith('RCPT')).map(({ at }) => at)
    const waits = times.slice(1).map((at, index) => (at - times[index]!) / 1000)
    ctx.note('waits in seconds', waits.map((wait) => wait.toFixed(1)).join(' '))
    assert.ok(times.length >= 4, `${times.length} attempts`)
    assert.ok(waits[0]! > 0.8 && waits.slice(1, -1).every((wait) => wait > 1.6), 'never earlier than stated, but for the jitter') // the last attempt is made at the end of the period
    assert.ok(waits[0]! < 10 && waits.slice(1).every((wait) => wait < 20), 'nor ten times as late')
    const period = (sender.arrivals[1]!.at - times[0]!) / 1000
    ctx.note('seconds from the first attempt to the notice that it failed', period.toFixed(1))
    assert.ok(period > 9 && period < 100, 'for the stated period')

    ctx.step('the notices: one late, one failed, from <>, in words a person understands')
    assert.ok(sender.arrivals.every(({ from, recipients }) => from === '' && recipients.join() === 'sender@client.example'))
    assert.match(late, /^Action: delayed/im)
    assert.match(late, /^Will-Retry-Until: /im)
    assert.deepEqual(failedIn(failed), ['fred@busy.example'])
    assert.match(failed, /^Auto-Submitted: auto-replied/im)
    assert.match(failed, /multipart\/report/i)
    assert.match(failed, /^Status: 4\.2\.2|^Status: 5\.2\.2|^Status: [45]\.4\.7/im)
    assert.match(failed, /452 4\.2\.2 mailbox full/, 'the remote\'s own words')
    assert.match(failed, /^Subject: the report/m, 'the original headers')
    assert.match(firstLine(failed), /fred@busy\.example|not (be )?delivered|could not/i)
    ctx.note('first line of the notice', firstLine(failed))
    await until('an empty queue', async () => (await queueLength(world.relay)) === 0)
    assert.equal(sender.arrivals.length, 2)
  },
}

/** The first line of the part that people read. */
const firstLine = (notice: string): string => /^Content-Type: text\/plain[^]*?\r\n\r\n(.*)/im.exec(notice)?.[1] ?? ''
