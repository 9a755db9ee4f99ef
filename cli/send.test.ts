import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

/** A server without TLS; refuses nobody@ at RCPT and the subject "spam" at the dot. */
const heard: string[] = []
const server: Server = createServer((socket) => {
  let data: string[] | undefined
  const answer = (line: string): string | undefined => {
    if (data !== undefined) {
      data.push(line)
      if (line !== '.') return undefined
      const refused = data.includes('Subject: spam')
      data = undefined
      return refused ? '550 5.7.1 no spam' : '250 2.0.0 queued as 7'
    }
    if (line === 'DATA') data = []
    return line === 'DATA' ? '354 go on' : line.startsWith('RCPT TO:<nobody@') ? '550 5.1.1 no such user' : '250 2.0.0 ok'
  }
  socket.write('220 ready\r\n')
  socket.on('error', () => {})
  socket.on('data', (piece) => {
    for (const line of piece.toString().split('\r\n').slice(0, -1)) {
      heard.push(line)
      const reply = answer(line)
      if (reply !== undefined) socket.write(`${reply}\r\n`)
    }
  })
})
before(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)))
after(() => server.close())

const here = (): string => `127.0.0.1:${(server.address() as { port: number }).port}`
const send = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'send', ...args], (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }))
  })

describe('posthouse send', () => {
  it('says in words, of 1 name, that it does not resolve', async () => {
    const { code, err } = await send('nohost.invalid:25', '--to', 'postmaster', '--timeout', '10')
    assert.equal(code, 1)
    assert.match(err, /nohost\.invalid:25: .*(the name does not resolve \(ENOTFOUND\)|the name could not be looked up: DNS does not answer \(EAI_AGAIN\))\n$/) // the other one where this machine has no DNS
  })

  it('hands in 1 mail from <> to postmaster, shows both sides, and ends with 0', async () => {
    heard.length = 0
    const { code, out } = await send(here(), '--to', 'postmaster', '--helo', 'me.example')
    assert.equal(code, 0)
    assert.deepEqual(heard.slice(0, 4), ['EHLO me.example', 'MAIL FROM:<>', 'RCPT TO:<postmaster>', 'DATA'])
    assert.match(out, /< 250 2\.0\.0 queued as 7\n> QUIT\naccepted\n$/)
  })

  it('ends with 1 where the recipient is refused, and sends no DATA', async () => {
    heard.length = 0
    const { code, err } = await send(here(), '--to', 'nobody@x.example')
    assert.equal(code, 1)
    assert.match(err, /NOT accepted: 550 5\.1\.1 no such user/)
    assert.ok(!heard.includes('DATA'))
  })

  it('ends with 1 where the 550 comes after the final dot only', async () => {
    const { code, out } = await send(here(), '--to', 'joe@x.example', '--from', 'ann@y.example', '--subject', 'spam')
    assert.equal(code, 1)
    assert.doesNotMatch(out, /^accepted$/m)
  })

  it('ends with 1 where nobody listens on port 1, and says so', async () => {
    const { code, err } = await send('127.0.0.1:1', '--to', 'postmaster')
    assert.equal(code, 1)
    assert.match(err, /127\.0\.0\.1:1: .*refused/)
  })

  it('gives the password of a Secret to no server without verified TLS: 0 AUTH commands', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'posthouse-send-'))
    try {
      for (const [name, text] of Object.entries({ host: '127.0.0.1', port: here().split(':')[1]!, username: 'u', password: 'secret', 'ca.crt': '' })) writeFileSync(join(folder, name), text)
      heard.length = 0
      const { code, err } = await send('--secret', folder, '--to', 'joe@x.example', '--from', 'ann@y.example')
      assert.equal(code, 1)
      assert.match(err, /STARTTLS/)
      assert.deepEqual(heard.filter((line) => line.startsWith('AUTH')), [])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('says what is missing, and what no address is, with 2', async () => {
    assert.match((await send('--to', 'postmaster')).err, /which server\?/)
    assert.equal((await send(here(), '--to', 'two words')).code, 2)
    assert.equal((await send(here(), '--to', 'postmaster', '--subject', 'a\r\nBcc: x@y.example')).code, 2)
  })
})
