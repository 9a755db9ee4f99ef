// A person with telnet or nc understands every reply. The talks are the story; the same is typed through `posthouse talk`.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { copyManifests, startStandalone } from '../../tools/relay-process.ts'
import { startSink } from '../../tools/sink.ts'
import { playTalkFile } from '../../tools/talk.ts'
import { until } from '../../tools/until.ts'
import type { Story } from '../story.ts'

const talks = [['stranger', 'mx'], ['accepted', 'mx'], ['bare-line-feeds', 'mx'], ['submission', 'submission']] as const

export const story: Story = {
  title: 'The session typed by hand is answered in plain words',
  needs: [],
  run: async (ctx) => {
    const sink = await startSink()
    ctx.cleanup(() => sink.close())
    const relay = await startStandalone({ folder: ctx.folder, manifests: copyManifests(ctx.home, join(ctx.folder, 'manifests'), { 2626: sink.port }) })
    ctx.cleanup(() => relay.stop())
    for (const [talk, listener] of talks) {
      ctx.step(`${talk}.talk on ${listener}`)
      await playTalkFile(join(ctx.home, `${talk}.talk`), { port: relay.ports[listener]! })
    }
    ctx.step('the one mail that was taken arrives')
    await until('the mail typed by hand', () => sink.arrivals.length === 1)
    assert.match(sink.arrivals[0]!.data.toString(), /Subject: typed by hand\r\n\r\nhello\r\n$/)

    ctx.step('the same through `posthouse talk`')
    const said = await relay.posthouse('talk', `127.0.0.1:${relay.ports.mx}`, 'helo somespammer.com', 'mail from: joe@somespammer.com', 'rcpt to: fred@spam-recipient.com', 'quit')
    assert.match(said.output, /^< 550 5\.7\.1 Relaying denied/m)
  },
}
