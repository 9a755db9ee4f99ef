// A person takes away what a relay may do at the queue's servers, and gives it back: the servers drop its subscriptions, and say so.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { findNatsServer } from '../../cli/standalone/find-nats-server.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startChild } from '../../test/tools/child.ts'
import { until } from '../../test/tools/until.ts'
import { openJetStream } from './jetstream.ts'

/** A server that reads its configuration anew with other permissions, or is started anew with it. */
const startPermitting = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-permissions-'))
  const [port, monitor] = [await freePort(), await freePort()]
  const config = join(folder, 'nats.conf')
  const write = (permissions: string, anybody: boolean) =>
    writeFileSync(config, `
listen: 127.0.0.1:${port}
http: 127.0.0.1:${monitor}
jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))}, sync_interval: always }
authorization { users: [{ user: relay, password: x, permissions: { ${permissions} } }] }
${anybody ? 'no_auth_user: relay' : ''}
`)
  const { path } = await findNatsServer()
  const start = async (anybody: boolean) => {
    write('', anybody)
    const started = startChild(path, ['-c', config])
    await until('the server', async () => (await fetch(`http://127.0.0.1:${monitor}/healthz`).catch(() => undefined))?.ok === true)
    return started
  }
  let child = await start(true)
  const said = (words: string) => child.output().split(words).length - 1
  return {
    url: `nats://127.0.0.1:${port}`,
    said,
    permit: async (permissions: string) => {
      const before = said('Reloaded server configuration')
      write(permissions, true)
      child.signal('SIGHUP')
      await until('the reload', () => said('Reloaded server configuration') > before)
    },
    startAnew: async (anybody: boolean) => {
      await child.stop()
      child = await start(anybody)
    },
    stop: async () => {
      await child.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

const connected = async (t: TestContext) => {
  const server = await startPermitting()
  const stream = openJetStream({ servers: [server.url], name: 'p', timeoutMs: 1_000 })
  t.after(async () => {
    await stream.close()
    await server.stop()
  })
  const answers = async () => (await stream.api('INFO'))?.type !== undefined
  await until('an answer', answers)
  return { server, stream, answers }
}

test('1 subject that could not be heard for a while is heard again when that is allowed', async (t) => {
  const { server, stream } = await connected(t)
  let heard = 0
  stream.hear('p.beat.*', () => void heard++)
  const beat = async () => {
    const before = heard
    stream.tell('p.beat.pod', Buffer.from('x'))
    await stream.api('INFO') // behind it on the same connection
    return heard > before
  }
  await until('a beat', beat)
  await server.permit('subscribe: { deny: ["p.>"] }')
  await until('none', async () => !(await beat()))
  await server.permit('')
  await until('a beat again', beat)
})

test('a relay whose 1 inbox was taken away gets answers again when it is given back', async (t) => {
  const { server, answers } = await connected(t)
  await server.permit('subscribe: { deny: ["_INBOX.>"] }')
  await until('no answer', async () => !(await answers()))
  await server.permit('')
  await until('an answer again', answers)
})

test('a relay without a login goes on with a server that wanted 1 for a while, however often that refused it', async (t) => {
  const { server, answers } = await connected(t)
  await server.startAnew(false)
  await until('3 refusals', () => server.said('authentication error') > 2)
  await server.startAnew(true)
  await until('an answer again', answers)
})
