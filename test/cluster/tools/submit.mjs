// Runs inside a pod: one session with a submission listener, as a program of its users would have it. STARTTLS with a certificate that is checked,
// AUTH, one mail. Prints what both sides say, but for secrets, and the fingerprint of the certificate. Its argument is a JSON object (submission.ts).
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

const { folder = '/var/run/smtp', mechanism, from, to, subject, waitMs = 20_000, ...given } = JSON.parse(process.argv[1])
const read = (name) => given[name] ?? readFileSync(`${folder}/${name}`, 'utf8').trim()

const talkOn = (socket) => {
  let text = ''
  let wake = () => {}
  socket.setEncoding('latin1').on('data', (piece) => ((text += piece), wake()))
  socket.on('close', () => ((text += '\r\n'), wake()))
  return async (line, shown = line) => {
    if (line !== undefined) console.log(`> ${shown}`)
    if (line !== undefined) socket.write(`${line}\r\n`)
    const deadline = Date.now() + waitMs
    while (!/^(\d{3} .*)?\r\n/m.test(text)) {
      if (Date.now() > deadline) throw new Error(`no reply in ${waitMs} ms`)
      await new Promise((resolve) => ((wake = resolve), setTimeout(resolve, 100)))
    }
    const said = text
    text = ''
    for (const one of said.trim().split('\r\n')) console.log(`< ${one}`)
    return said.trim().split('\r\n').at(-1)
  }
}

const credential = () => {
  const base64 = (words) => Buffer.from(words).toString('base64')
  if (mechanism === 'PLAIN') return base64(`\0${read('username')}\0${read('password')}`)
  if (mechanism === 'XOAUTH2') return base64(`user=shop\x01auth=Bearer ${read('token')}\x01\x01`)
  return base64(`n,,\x01auth=Bearer ${read('token')}\x01\x01`)
}

const plain = connect(Number(read('port')), read('host'))
const clear = talkOn(plain)
await clear()
await clear('EHLO pod.example')
await clear('STARTTLS')
plain.removeAllListeners('data')
const secure = connectTls({ socket: plain, servername: read('host'), ca: read('ca.crt') })
await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject))
console.log(`certificate ${secure.getPeerCertificate().fingerprint256}`)
const ask = talkOn(secure)
await ask('EHLO pod.example')
let last = await ask(`AUTH ${mechanism} ${credential()}`, `AUTH ${mechanism} …`)
if (last.startsWith('334')) last = await ask('')
if (last.startsWith('2')) {
  for (const line of [`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA']) if (/^[23]/.test(last)) last = await ask(line)
  if (last.startsWith('354')) last = await ask(`From: ${from}\r\nTo: ${to}\r\nSubject: ${subject}\r\n\r\nhello\r\n.`, '(the mail)')
}
await ask('QUIT')
process.exit(0)
