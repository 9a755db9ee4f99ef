// `posthouse sink` as a process: what it prints and saves, and what it may be told to do instead.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { startChild } from '../test/tools/child.ts'
import { openSmtp, sendMail } from '../test/tools/smtp-client.ts'
import { until } from '../test/tools/until.ts'
import { freePort } from './standalone/nats-process.ts'

const mail = { from: 'ann@a.example', to: ['bob@b.example'], data: 'Subject: hello\r\n\r\nbody\r\n' }

const startedSink = async (t: TestContext, ...options: string[]) => {
  const port = await freePort()
  const child = startChild(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'sink', '--port', String(port), ...options])
  t.after(() => child.stop())
  await until('the port', () => openSmtp(port).then((client) => (client.close(), true), () => false), 60_000)
  const client = async () => {
    const one = await openSmtp(port)
    await one.say('EHLO a.example')
    return one
  }
  return { child, client }
}

describe('posthouse sink', () => {
  it('prints a mail in 1 line, saves it, and says at Ctrl-C that 1 arrived', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'posthouse-sink-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const { child, client } = await startedSink(t, '--dir', folder)
    assert.equal((await sendMail(await client(), mail)).data?.code, 250)
    await until('the line', () => /^arrived: <ann@a\.example> → <bob@b\.example> +"hello" +\d+ bytes$/m.test(child.output()))
    assert.deepEqual(readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')), [mail.data])
    child.signal('SIGINT')
    assert.equal(await child.exited, 0)
    assert.match(child.output(), /^sink listens on 127\.0\.0\.1:\d+; Ctrl-C ends it$[^]*^1 mail arrived$/m)
  })

  it('answers a 4xx to RCPT and a 5xx to the dot, and prints 1 JSON object for the mail that it took', async (t) => {
    const later = await startedSink(t, '--reply-rcpt', '450 4.2.1 try later')
    assert.equal((await sendMail(await later.client(), mail)).recipients[0]?.text, '450 4.2.1 try later')
    const never = await startedSink(t, '--reply-dot', '554 5.6.0 not this')
    assert.equal((await sendMail(await never.client(), mail)).data?.text, '554 5.6.0 not this')
    const { child, client } = await startedSink(t, '--json')
    await until('the address', () => /^sink listens on 127\.0\.0\.1:\d+; /m.test(child.output()))
    await sendMail(await client(), mail)
    await until('the object', () => child.stdout().includes('}'))
    const { from, to, message } = JSON.parse(child.stdout()) as { from: string; to: string[]; message: string }
    assert.deepEqual([from, to, message], ['<ann@a.example>', ['<bob@b.example>'], mail.data])
  })

  it('closes the connection at RCPT, hangs at the dot, and answers it 300 ms late', async (t) => {
    const drops = await startedSink(t, '--drop', 'rcpt')
    const dropped = await drops.client()
    await dropped.say('MAIL FROM:<ann@a.example>')
    dropped.write('RCPT TO:<bob@b.example>\r\n')
    await dropped.closed
    const took = async (...options: string[]): Promise<number> => {
      const client = await (await startedSink(t, ...options)).client()
      const began = performance.now()
      await Promise.race([sendMail(client, mail), new Promise((resolve) => setTimeout(resolve, 1_500))])
      client.close()
      return performance.now() - began
    }
    assert.ok((await took('--hang', 'dot')) > 1_400)
    assert.ok((await took('--delay', '300')) > 290)
  })
})
