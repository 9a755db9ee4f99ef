import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, describe, it } from 'node:test'
import { until } from '../../test/tools/until.ts'
import { behaviourOf } from '../sink.ts'
import { DataReader } from './sink-data.ts'
import { startSink, type RunningSink, type SinkOptions } from './sink.ts'

const dialogue = 'EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n'

describe('the sink', () => {
  const sinks: RunningSink[] = []
  after(() => Promise.all(sinks.map((sink) => sink.close())))
  const talk = async (options: SinkOptions, text: string, endsWith: RegExp = /221 [^\n]*\n$/): Promise<{ sink: RunningSink; said: string }> => {
    const sink = await startSink(options)
    sinks.push(sink)
    const socket = connect(sink.port, '127.0.0.1')
    let said = ''
    socket.on('data', (bytes) => (said += bytes.toString()))
    socket.on('error', () => {})
    let closed = false
    socket.once('close', () => (closed = true))
    const steps = text.split('|')
    for (const [index, step] of steps.entries()) {
      socket.write(step)
      if (index < steps.length - 1) await until('354', () => said.includes('354') || closed, 10_000, 2)
    }
    await until(`${endsWith}`, () => endsWith.test(said) || closed, 10_000, 2)
    socket.destroy()
    return { sink, said }
  }

  it('takes a mail and prints it in one line', async () => {
    const lines: string[] = []
    const { sink } = await talk({ print: (line) => void lines.push(line) }, `${dialogue}|Subject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n`)
    assert.equal(sink.mails[0]!.raw.toString(), 'Subject: hi\r\n\r\n.dot\r\n')
    assert.match(lines[0]!, /^arrived: <a@b\.example> → <c@d\.example> {2}"hi" {2}21 bytes$/)
  })
  for (const [what, bytes] of Object.entries({ 'bare LF': 'a\nb\r\n', 'bare CR': 'a\rb\r\n', NUL: 'a\0\r\n', '8-bit bytes, not declared': 'ü\r\n' })) {
    it(`notes ${what}`, async () => assert.deepEqual((await talk({}, `${dialogue}|${bytes}.\r\nQUIT\r\n`)).sink.mails[0]!.faults, [what]))
  }
  it('takes no look-alike for the end', async () => {
    const { sink } = await talk({}, `${dialogue}|a\n.\nb\r\n.\nc\n.\r\nd\r\n.\r\nQUIT\r\n`)
    assert.equal(sink.count(), 1)
    assert.match(sink.mails[0]!.raw.toString(), /d\r\n$/)
  })
  it('finds the end however it is cut', () => {
    const text = 'a\r\n.b\r\n.\r\nQUIT'
    const end = text.indexOf('QUIT')
    for (let cut = 0; cut < end; cut++) {
      const reader = new DataReader(true)
      assert.equal(reader.feed(Buffer.from(text.slice(0, cut))), undefined)
      assert.equal(reader.feed(Buffer.from(text.slice(cut)))!.toString(), 'QUIT')
      assert.equal(reader.message().toString(), 'a\r\nb\r\n')
    }
  })
  it('answers what it is told to', async () => assert.match((await talk({ replies: { rcpt: '450 4.2.1 try later' } }, `${dialogue}QUIT\r\n`)).said, /450 4\.2\.1 try later\r\n503/))
  it('drops where it is told to', async () => assert.doesNotMatch((await talk({ drop: 'mail' }, dialogue)).said, /sender taken/))
  it('says "mail before the 354" is a fault', async () => {
    const { sink } = await talk({}, `${dialogue}x\r\n.\r\nQUIT\r\n`)
    assert.match(sink.faults.join(), /before the 354/)
  })
})

describe('the words of posthouse sink', () => {
  const base = { port: '2626', host: '127.0.0.1' }
  it('become behaviour', () => {
    const behaviour = behaviourOf({ ...base, replyRcpt: '450 4.2.1 later', hang: 'dot', without: 'pipelining, dsn', delay: '50' })
    assert.deepEqual([behaviour.replies, behaviour.hang, behaviour.without], [{ rcpt: '450 4.2.1 later' }, 'dot', ['PIPELINING', 'DSN']])
    assert.deepEqual(typeof behaviour.delayMs === 'function' && [behaviour.delayMs('mail'), behaviour.delayMs('dot')], [0, 50])
  })
  it('refuse a delay that is no number, and one of more than a day, which a timer would not wait', () => {
    for (const delay of ['long', '-1', '86400001', '1e12']) assert.throws(() => behaviourOf({ ...base, delay }), { exitCode: 2, message: /^--delay: milliseconds up to 86400000/ })
  })
  it('refuse to be without an extension that was never offered', () => assert.throws(() => behaviourOf({ ...base, without: 'dsn,PIPELINE' }), { exitCode: 2, message: '--without PIPELINE: some of PIPELINING,8BITMIME,SMTPUTF8,DSN,ENHANCEDSTATUSCODES,SIZE' }))
})
