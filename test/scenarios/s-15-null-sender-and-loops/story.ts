// Mail that could breed: the null sender gets no notice, a loop is cut, a notice that cannot be delivered ends there and is counted.
import assert from 'node:assert/strict'
import { startMxWorld } from '../../tools/mx-world.ts'
import { queueLength } from '../../tools/relay-process.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

export const story: Story = {
  title: 'Null sender, loops, double bounce: nothing breeds, everything is counted',
  needs: [],
  limitSeconds: 900,
  run: async (ctx) => {
    const world = await startMxWorld(ctx, {
      'client.example': { mx: [[10, 'mx.client.example']] },
      'refuses.example': { mx: [[10, 'mx.refuses.example']] },
      'self.example': { mx: [[10, 'relay.example']] },
      'vanity.example': { mx: [[10, 'mx.vanity.example']] },
      'mx.vanity.example': { a: ['127.0.0.1'] },
      'relay.example': { a: ['127.0.0.1'] },
    })
    const sender = await world.host('mx.client.example', '127.0.0.2')
    const refuses = await world.host('mx.refuses.example', '127.0.0.3', { command: (verb) => (verb === 'RCPT' ? '550 5.1.1 no such user' : undefined) })
    const empty = () => until('an empty queue', async () => (await queueLength(world.relay)) === 0)

    ctx.step('a refused mail: the sender is told, from the null sender')
    await world.send('nobody@refuses.example')
    await until('the notice', () => sender.arrivals.length === 1)
    assert.equal(sender.arrivals[0]!.from, '')
    assert.match(sender.arrivals[0]!.data.toString(), /^Auto-Submitted: auto-replied/im)

    ctx.step('a refused mail from the null sender: nobody is told')
    const asked = refuses.commands.length
    await world.send('nobody@refuses.example', { from: '' })
    await until('the attempt', () => refuses.commands.length > asked)
    await empty()
    assert.equal(sender.arrivals.length, 1)

    ctx.step('a notice that is refused itself: a double bounce, counted, and the end of it')
    const before = await doubleBounces(world.relay.httpPort)
    await world.send('nobody@refuses.example', { from: 'also-nobody@refuses.example' })
    await until('the count of double bounces', async () => (await doubleBounces(world.relay.httpPort)) > before)
    await empty()

    ctx.step('an MX that is ourselves, by name or by address: a permanent failure, not a loop')
    for (const [index, domain] of ['self.example', 'vanity.example'].entries()) {
      await world.send(`fred@${domain}`)
      await until('the notice', () => sender.arrivals.length === 2 + index)
      assert.match(sender.arrivals[1 + index]!.data.toString(), /^Status: 5\.4\.6/im)
    }

    ctx.step('100 Received fields are taken, 101 are a loop (RFC 5321 6.3)')
    const withReceived = (count: number) => `${Array.from({ length: count }, (_, n) => `Received: from a.example by b.example id ${n}; Mon, 1 Jan 2024 00:00:00 +0000\r\n`).join('')}Subject: loop\r\n\r\nbody\r\n`
    const taken = await world.send('fred@client.example', { data: withReceived(100) })
    assert.equal(taken.code, 250, taken.text)
    const refused = await world.send('fred@client.example', { data: withReceived(101) })
    assert.match(refused.text, /^554 5\.4\.6 /)

    ctx.step('a mail that comes round through us again and again ends by itself')
    world.dns.set('round.example', { mx: [[10, 'mx.round.example']] })
    let rounds = 0
    await world.host('mx.round.example', '127.0.0.4', {
      dot: (arrival) => {
        rounds++
        void world.send('fred@round.example', { data: arrival.data.toString('latin1') }).then((reply) => (last = reply.text))
      },
    })
    let last = ''
    await world.send('fred@round.example')
    await until('the end of the loop', () => last.startsWith('554'), 300_000) // 100 rounds, one after the other
    assert.match(last, /^554 5\.4\.6 /)
    ctx.note('rounds', rounds)
    await empty()
  },
}

const doubleBounces = async (httpPort: number): Promise<number> => {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text()
  return Number(/^posthouse_double_bounces_total(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1] ?? 0)
}
