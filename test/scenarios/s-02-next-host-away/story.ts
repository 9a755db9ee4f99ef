// The next host is away for three attempts and more, and then puts off; then it comes back and gets everything, once.
import assert from 'node:assert/strict'
import { startMxWorld } from '../../tools/mx-world.ts'
import { idIn, queueLength, traceOf } from '../../tools/relay-process.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

export const story: Story = {
  title: 'The next host is away for at least three attempts; the mail waits, is visible, and arrives when it is back',
  needs: [],
  run: async (ctx) => {
    const world = await startMxWorld(ctx, { 'away.example': { mx: [[10, 'mx.away.example']] }, 'mx.away.example': { a: ['127.0.0.2'] } })

    ctx.step('nobody listens there')
    const id = idIn((await world.send('fred@away.example')).text)
    const attempts = () => traceOf(world.relay, id).then((events) => events.filter(({ kind }) => kind === 'deferred'))
    const deferred = await until('three attempts in vain', async () => {
      const all = await attempts()
      return all.length >= 3 && all
    }, 60_000)
    for (const event of deferred) assert.match(event.text, /mx\.away\.example \[127\.0\.0\.2\]: connection refused/, 'the trace says why')

    ctx.step('it is visible: list, why, trace')
    const listed = await world.relay.posthouse('queue', 'list')
    assert.match(listed.output, /fred@away\.example/)
    const why = await world.relay.posthouse('why', 'away.example')
    assert.match(why.output, /mx\.away\.example|127\.0\.0\.2/, why.output)

    ctx.step('there it answers, but only "try later"')
    let open = false
    const back = await world.host('mx.away.example', '127.0.0.2', { command: (verb) => (verb === 'MAIL' && !open ? '451 4.3.0 not yet' : undefined) })
    await until('an attempt that was told to try later', () => back.commands.some(({ line }) => line.startsWith('MAIL')), 60_000)

    ctx.step('and then it takes the mail')
    open = true
    await until('the mail', () => back.recipients().length > 0, 60_000)
    await until('an empty queue', async () => (await queueLength(world.relay)) === 0)
    assert.deepEqual(back.recipients(), ['fred@away.example'])
    const kinds = (await traceOf(world.relay, id)).map(({ kind }) => kind)
    assert.ok(kinds.includes('delivered'), kinds.join(' '))
    ctx.note('attempts in vain', kinds.filter((kind) => kind === 'deferred').length)
  },
}
