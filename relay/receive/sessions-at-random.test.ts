// Random sessions over sockets against a plain model of what has to be answered and kept (test/tools/receiving-model.ts).
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { answerTo, ReceivingModel, type ModelListener, type ModelMail } from '../../test/tools/receiving-model.ts'
import { nextOctets, randomOf, type Random } from '../../test/tools/random-sessions.ts'
import { startTestReceiver, testSecret, testSnapshot, type TestReceiver } from '../../test/tools/receive.ts'
import type { Kept } from '../../test/tools/fake-queue.ts'
import { waitUntil } from '../../test/tools/session.ts'
import type { SnapshotInput } from '../snapshot/index.ts'

const limits = { lineBytes: 1_000, messageBytes: 4_000, headerBytes: 1_500, headers: 20, received: 3, errors: 25, recipientsPerMessage: 4, messagesPerConnection: 5 }
const login = ['shop', testSecret] as const
const offered = { offersTls: true, implicitTls: false, normalises: false, auth: ['PLAIN', 'LOGIN'], limits }
const listeners: readonly ModelListener[] = [
  { ...offered, name: 'mx', auth: [] }, { ...offered, name: 'mx', auth: [], normalises: true }, { ...offered, name: 'submission' }, { ...offered, name: 'submissions', implicitTls: true },
]

const change = (normalises: boolean) => (input: SnapshotInput): void => {
  for (const listener of input.listeners) Object.assign(listener, { limits, ...(normalises && { bareNewlines: 'Normalise' }) })
}

type Slow = TestReceiver & { readonly giveUp: () => void; readonly offered: () => number }

const startReceiver = async (normalises: boolean, lateMs = 3): Promise<Slow> => {
  const waiting: (() => void)[] = []
  const receiver = await startTestReceiver(testSnapshot(change(normalises)), { callout: async (_, { local }) => (await turn(), local === 'yes' ? 'yes' : local === 'no' ? 'no' : 'unknown') })
  const { queue } = receiver
  const store = queue.accept.bind(queue)
  let offered = 0
  queue.accept = (message) => ((offered += 1), answerLater(message).finally(() => (offered -= 1)))
  const answerLater: typeof store = async (message) => {
    const from = message.envelope.mailFrom?.local ?? ''
    const answer = answerTo(from)
    if (from.startsWith('late')) await new Promise((resolve) => setTimeout(resolve, lateMs))
    else await turn()
    if (answer === undefined) return new Promise((resolve) => void waiting.push(() => resolve({ kind: 'unknown', why: 'no answer in time' })))
    if (from.startsWith('throws')) throw new Error('the queue fell over')
    if (answer.startsWith('452')) return { kind: 'refused', why: 'full' }
    return answer.startsWith('451') ? { kind: 'unknown', why: 'no leader' } : store(message)
  }
  return { ...receiver, offered: () => offered, giveUp: () => void waiting.splice(0).map((one) => one()) }
}

type Client = { readonly socket: Socket; readonly said: { text: string; closed: boolean } }

const listenTo = (socket: Socket, said: Client['said']): void => {
  const over = (): void => void (said.closed = true)
  socket.on('data', (piece: Buffer) => (said.text += piece.toString('latin1'))).on('close', over).on('error', over).on('end', over)
}

const open = async (port: number, isTls: boolean): Promise<Client> => {
  const said = { text: '', closed: false }
  const socket = isTls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  listenTo(socket, said)
  await waitUntil(() => said.closed || said.text !== '')
  return { socket, said }
}

/** RFC 3207: undefined where the handshake did not come to its end. */
const secured = async ({ socket, said }: Client): Promise<Client | undefined> => {
  socket.removeAllListeners('data').removeAllListeners('end')
  const tls = connectTls({ socket, rejectUnauthorized: false })
  listenTo(tls, said)
  await new Promise<void>((resolve) => void tls.once('secureConnect', resolve).once('close', resolve))
  return said.closed ? undefined : { socket: tls, said }
}

const repliesIn = (text: string): string[][] => {
  const replies: string[][] = []
  let open: string[] = []
  for (const line of text.split('\r\n').slice(0, -1)) {
    open.push(line)
    if (line[3] === '-') continue
    replies.push(open)
    open = []
  }
  return replies
}

/** One piece, an octet at a time, or between. */
const send = async ({ socket, said }: Client, octets: Buffer, random: Random): Promise<void> => {
  const size = random.one([1, 7, 100, 1e9, 1e9])
  for (let at = 0; at < octets.length && !said.closed; at += size) {
    socket.write(octets.subarray(at, at + size))
    if (size < 1e9 && random.chance(size === 1 ? 0.1 : 0.7)) await turn()
  }
}

type Played = { readonly model: ModelMail[]; readonly replies: string[][]; readonly wanted: ReceivingModel['replies']; readonly sent: string; /** Cut: by the client. Unheard: by a process that left before there was anybody to say 421 to. */ readonly end: 'whole' | 'cut' | 'unheard' }

const play = async (receiver: TestReceiver, listener: ModelListener, name: string, random: Random): Promise<Played> => {
  let client = await open(receiver.port(listener.name), listener.implicitTls)
  const model = new ReceivingModel(listener, login)
  const sent: string[] = []
  let end: Played['end'] = random.chance(0.2) ? 'cut' : 'whole'
  const mayBeNever = end === 'cut'
  const say = async (octets: Buffer): Promise<void> => {
    sent.push(JSON.stringify(octets.toString('latin1')))
    const cut = end === 'cut' && random.chance(0.1) ? octets.subarray(0, random.below(octets.length)) : octets
    model.feed(cut)
    await send(client, cut, random)
    if (cut !== octets) model.phase = 'waiting' // as if for ever
  }
  for (let step = 0; step < 25 && ['command', 'data'].includes(model.phase); step++) {
    const isSubmission = listener.auth.length > 0
    const wantsTls = !model.tls && isSubmission && random.chance(0.3)
    const octets = step === 0 || (!model.hello && random.chance(0.6)) ? Buffer.from(`EHLO ${name}\r\n`) : wantsTls ? Buffer.from('STARTTLS\r\n')
      : model.tls && isSubmission && !model.sender && random.chance(0.5) ? Buffer.from(`RSET\r\nAUTH PLAIN ${Buffer.from(`\0${login.join('\0')}`).toString('base64')}\r\n`)
      : nextOctets(random, { hello: name, login, asks: model.asks, isSubmission, mayBeNever })
    await say(octets)
    if (random.chance(0.3) || model.phase === 'starting-tls') await waitUntil(() => client.said.closed || repliesIn(client.said.text).length >= model.replies.length)
    if (model.phase !== 'starting-tls' || client.said.closed) continue
    const upgraded = await secured(client)
    sent.push('<TLS>')
    if (upgraded === undefined) end = 'cut'
    if (upgraded === undefined) break
    client = upgraded
    model.secured()
  }
  if (end === 'whole' && (model.phase === 'data' || random.chance(0.5))) await waitUntil(() => client.said.closed || repliesIn(client.said.text).length >= model.replies.length)
  if (end === 'cut') client.socket.destroy()
  else client.socket.end()
  await waitUntil(() => client.said.closed)
  client.socket.destroy()
  return { model: model.mails, replies: repliesIn(client.said.text), wanted: model.replies, sent: sent.join('\n'), end }
}

const codesOf = (reply: readonly string[]): string => /^\d{3}(?:[ -]\d\.\d\.\d+(?= ))?/.exec(reply.at(-1)!)?.[0] ?? reply.join()

/** As the model has it: in the order of the envelope, without what we put in front. */
const mailOf = ({ message: { envelope, deliveries, body } }: Kept): ModelMail => ({
  from: envelope.mailFrom ? printed(envelope.mailFrom) : '',
  to: deliveries.flatMap(({ recipients }) => recipients).map(({ mailbox, notify, orcpt }) => ({ mailbox: printed(mailbox), ...(notify && { notify }), ...(orcpt !== undefined && { orcpt }) })),
  ...(envelope.envid !== undefined && { envid: envelope.envid }), ...(envelope.ret && { ret: envelope.ret }),
  smtputf8: envelope.smtputf8, body: envelope.body, content: ('inline' in body ? body.inline : Buffer.alloc(0)).toString('latin1'), ...(envelope.sender !== undefined && { sender: envelope.sender }),
})
const printed = ({ local, domain }: { readonly local: string; readonly domain: string }): string => `${local}@${domain}`

const byDomain = ({ to, ...rest }: ModelMail) => {
  const domains = [...new Set(to.map(({ mailbox }) => mailbox.slice(mailbox.lastIndexOf('@'))))]
  return { ...rest, to: domains.flatMap((domain) => to.filter(({ mailbox }) => mailbox.endsWith(domain) && mailbox.lastIndexOf('@') === mailbox.length - domain.length)) }
}

const judge = ({ model, replies, wanted, sent, end }: Played, kept: readonly Kept[]): void => {
  const said = replies.map((reply) => codesOf(reply))
  const sentAway = said.at(-1) === '421 4.3.2'
  if (sentAway) said.pop()
  const expected = end !== 'whole' || sentAway ? wanted.slice(0, said.length) : wanted
  const fits = said.length === expected.length && said.every((codes, at) => [expected[at]!].flat().includes(codes))
  assert.ok(fits, `${sent}\nsaid   ${said.join(', ')}\nwanted ${expected.map((one) => [one].flat().join('|')).join(', ')}\n${replies.map((reply) => reply.at(-1)).join('\n')}`)
  const stored = model.map(byDomain)
  const promised = replies.filter((reply) => reply[0]!.startsWith('250 2.0.0 queued as ')).map((reply) => reply[0]!.split(' ').at(-1))
  const ids = kept.map(({ message }) => message.id)
  assert.deepEqual(promised, ids.slice(0, promised.length), sent)
  if (end !== 'cut' || sentAway) assert.equal(promised.length, ids.length, sent)
  assert.deepEqual(kept.map(mailOf), end === 'whole' && !sentAway ? stored : stored.slice(0, kept.length), sent)
}

/** It was not taken yet, or is in its TLS handshake, which the client may take for done while the server does not: nobody there could read a 421. */
const isUnheard = ({ end, replies }: Played): boolean => end === 'whole' && (replies.length === 0 || codesOf(replies.at(-1)!) === '220 2.0.0')

const seeds = Number(process.env['SEEDS'] ?? 60)
const first = Number(process.env['FIRST_SEED'] ?? 1)

const together = 10

for (const listener of listeners) {
  test(`${seeds} random sessions at ${listener.name}${listener.normalises ? ', which normalises,' : ''} are answered command by command as the RFCs have it, and what was answered with 250 is what is kept, octet by octet`, async (t) => {
    const receiver = await startReceiver(listener.normalises)
    t.after(() => receiver.stop())
    const one = async (seed: number): Promise<void> => {
      const name = `s${seed}.client.example`
      const played = await play(receiver, listener, name, randomOf(seed * 7919 + listener.name.length))
      judge(played, receiver.queue.kept.filter(({ text }) => text.startsWith(`Received: from ${name} `)))
    }
    for (let seed = first; seed < first + seeds; seed += together) {
      const faults = (await Promise.allSettled(Array.from({ length: together }, (_, step) => one(seed + step)))).flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
      if (faults.length > 0) throw faults[0]
    }
    receiver.giveUp()
    await waitUntil(async () => (await receiver.metrics.openConnections.get()).values.every(({ value }) => value === 0))
    const { begun, ended, abandoned } = receiver.queue.bodies
    t.diagnostic(`${receiver.queue.kept.length} mails kept, ${begun} bodies begun, ${ended} ended, ${abandoned} given up`)
    assert.equal(begun, ended + abandoned)
  })
}

test('40 random sessions that the process leaves at any moment: each mail that was kept has its 250, then comes 421 4.3.2 to all but those in a TLS handshake, and nobody stays', async (t) => {
  for (let round = first; round < first + 4; round++) {
    const receiver = await startReceiver(false, 100)
    t.after(() => receiver.stop())
    const random = randomOf(round)
    const names = Array.from({ length: together }, (_, at) => `d${round}-${at}.client.example`)
    const playing = Promise.all(names.map((name, at) => play(receiver, listeners[[0, 2, 3][at % 3]!]!, name, randomOf(round * 7919 + at))))
    await new Promise((resolve) => setTimeout(resolve, random.below(210)))
    setTimeout(receiver.giveUp, 500)
    await receiver.receiving.drain(30_000)
    receiver.giveUp()
    await waitUntil(() => receiver.offered() === 0)
    for (const [at, played] of (await playing).entries()) judge({ ...played, ...(isUnheard(played) && { end: 'unheard' }) }, receiver.queue.kept.filter(({ text }) => text.startsWith(`Received: from ${names[at]!} `)))
    const { begun, ended, abandoned } = receiver.queue.bodies
    assert.equal(begun, ended + abandoned)
  }
})
