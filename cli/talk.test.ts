import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeCertificate } from '../test/tools/certificate.ts'
import { startSink } from './standalone/sink.ts'

/** Greets, answers each line by its first word, and DATA once, at its dot. */
const heard: string[] = []
const server: Server = createServer((socket) => {
  let inData = false
  socket.on('error', () => {}) // a client that goes away in the middle
  socket.write('220-two lines\r\n220 of greeting\r\n')
  socket.on('data', (piece) => {
    for (const line of piece.toString().split('\r\n').filter((text) => text !== '')) {
      heard.push(line)
      if (inData) inData = line !== '.'
      else inData = line === 'data'
      if (line === 'bye') socket.end()
      else if (line === 'reset') socket.resetAndDestroy()
      else if (line === 'data') socket.write('354 go on\r\n')
      else if (line === 'escape') socket.write('250 \u001b]0;owned\u0007 done\r\n')
      else if (!inData) socket.write(line === 'no' ? '550 5.7.1 no\r\n' : '250-yes\r\n250 done\r\n')
    }
  })
})
before(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)))
after(() => server.close())

const talk = (...lines: string[]): Promise<{ code: number; out: string; err: string }> => {
  const { port } = server.address() as { port: number }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'talk', `127.0.0.1:${port}`, ...lines], (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }))
  })
}

describe('posthouse talk', () => {
  it('waits for the greeting and each reply, and sends the 3 lines of DATA at once', async () => {
    const { out, code } = await talk('hello', 'data', 'Subject: x', '', '.', 'quit')
    assert.equal(code, 0)
    assert.equal(out, '< 220-two lines\n< 220 of greeting\n> hello\n< 250-yes\n< 250 done\n> data\n< 354 go on\n> Subject: x\n> \n> .\n< 250-yes\n< 250 done\n> quit\n< 250-yes\n< 250 done\n')
    assert.deepEqual(heard, ['hello', 'data', 'Subject: x', '.', 'quit'])
  })

  it('shows 2 control characters of the server as text', async () => assert.match((await talk('escape')).out, /< 250 \\x1b\]0;owned\\x07 done\n$/))

  it('ends with 1 when the last reply is a refusal, or the server hangs up', async () => {
    assert.equal((await talk('no')).code, 1)
    const ended = await talk('bye', 'more')
    assert.equal(ended.code, 1)
    assert.match(ended.err, /the server closed the connection/)
    const reset = await talk('reset', 'more')
    assert.deepEqual([reset.code, reset.err], [1, 'the server closed the connection (read ECONNRESET)\n'])
  })

  it('goes on in TLS after starttls, and hears the 2nd EHLO there', async () => {
    const { key, certificate } = makeCertificate('mx.test')
    const sink = await startSink({ host: '127.0.0.1', port: 0, tls: { key, cert: certificate } })
    const out = await new Promise<string>((resolve) => void execFile(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'talk', `127.0.0.1:${sink.port}`, '--timeout', '10', 'ehlo me', 'starttls', 'ehlo again', 'quit'], (_, stdout, err) => resolve(stdout + err)))
    await sink.close()
    assert.match(out, /> starttls\n< 220 [^\n]*\n> ehlo again\n(< 250[^\n]*\n)+> quit\n< 221 [^\n]*\n$/)
    assert.equal(out.match(/STARTTLS/g)!.length, 1, 'offered before, and not again')
  })

  it('says in 1 line what is wrong with a port, a wait, or TLS where there is none', async () => {
    const run = (...args: string[]): Promise<string> =>
      new Promise((resolve) => void execFile(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'talk', ...args], (error, _, err) => resolve(`${String(error?.code)} ${err}`)))
    const { port } = server.address() as { port: number }
    assert.equal(await run('127.0.0.1:70000', 'quit'), '2 127.0.0.1:70000: host:port, such as 127.0.0.1:2525 or [::1]:2525\n')
    assert.equal(await run(`127.0.0.1:${port}`, '--timeout', 'soon', 'quit'), '2 --timeout: seconds, such as 30, up to 86400\n')
    assert.equal(await run(`127.0.0.1:${port}`, '--tls', 'quit'), `2 127.0.0.1:${port} does not answer: no TLS from the first byte; without --tls the session begins in plain text\n`)
  })
})
