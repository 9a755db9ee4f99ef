// The commands against a real admin socket with a made-up queue behind it: what is asked, printed, and the exit code.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { GivenOrder, Order, Queue, QueueEntry, TraceEvent, TraceQuestion } from '../relay/queue/index.ts'
import { startAdmin } from '../relay/report/index.ts'
import { adminCalls } from '../relay/steering.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthouse-cli-'))
const socket = join(folder, 'admin.sock')

const entry = (id: string, more: Partial<QueueEntry> = {}): QueueEntry => ({
  id,
  message: id.split('.')[0]!,
  state: 'deferred',
  domain: 'slow.example',
  mailFrom: 'ann@shop.example',
  recipients: ['bob@slow.example'],
  bytes: 500,
  arrivedAt: Date.now() - 3_600_000,
  attempt: 2,
  nextAt: Date.now() + 600_000,
  schedule: 'RetrySchedule patient',
  why: 'Connect',
  said: '421 4.3.2 come back',
  lane: 7,
  ...more,
})
const event = (text: string): TraceEvent => ({ at: 0, message: 'm2', kind: 'delivered', pod: 'p', text, said: '250 2.0.0 taken', by: 'ann' })

const questions: TraceQuestion[] = []
const givenAll = { messages: [
  { at: 1_000, message: 'm2', from: 'ann@shop.example', recipients: ['bob@slow.example'], became: { delivered: 1 } },
  { at: 0, message: 'm1', from: '', recipients: ['a@x.example', 'b@x.example', 'c@x.example'], became: { delivered: 2, deferred: 1 } },
] }
const given: { order: Order; ids: readonly string[]; until?: number }[] = []
const givers: (string | undefined)[] = []
const filters: { sender?: string }[] = []
const entries = [entry('m1.1', { domain: 'other.example', state: 'held' }), entry('m1.0')]
const fake = {
  summary: async () => [{ domain: 'slow.example', ready: 0, deferred: 1, held: 0 }, { domain: 'other.example', ready: 0, deferred: 0, held: 1 }],
  list: async (filter: { message?: string; domain?: string; sender?: string }) => {
    filters.push(filter)
    return entries.filter((one) => (filter.domain ?? one.domain) === one.domain && (filter.message ?? one.message) === one.message)
  },
  show: async (id: string) => (entries.some((one) => one.id === id) ? { entry: entries.find((one) => one.id === id)!, headers: 'Subject: hello\r\n' } : undefined),
  trace: async (id: string) => {
    if (id === 'm6') return [['accepted', 'a'], ['first', 'b'], ['second', 'b'], ['third', 'a']].map(([text, pod]) => ({ at: 0, message: 'm6', kind: 'attempt', pod, text }))
    return id === 'm2' ? [event('delivered to mx.other.example')] : []
  },
  latest: async () => 'm2',
  find: async (question: TraceQuestion) => {
    questions.push(question)
    if (question.to === 'nobody@slow.example') return { messages: [], more: false, reached: 5_000 }
    return { ...givenAll, more: question.limit === 2 }
  },
  order: async ({ order, until, by }: GivenOrder, ids: readonly string[]) => {
    givers.push(by)
    given.push({ order, ids, ...(until !== undefined && { until }) })
    return ids.map((id) => (id === 'm1.1' ? { id, done: false, why: 'nobody owns it for the moment, try again' } : { id, done: true }))
  },
  whyWaiting: async () => ['2 connections at once (DeliveryRoute mail/slow)'],
  durable: () => ({ ok: true, reason: 'Durable', text: 'fine' }),
}

let close = async () => {}
before(async () => {
  close = (await startAdmin(socket, adminCalls(fake as unknown as Queue, async () => ({})))).close
})
after(async () => {
  await close()
  rmSync(folder, { recursive: true })
})

type Ran = { readonly code: number; readonly out: string; readonly err: string }
const posthouse = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), ...args], (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }))
  })

describe('posthouse queue', () => {
  it('with an unknown word names its 9 commands and exits with 2', async () => {
    const { err, code } = await posthouse('queue', 'bogus', '--socket', socket)
    assert.deepEqual([code, /unknown command 'bogus': one of summary, list, show, hold, release, retry, bounce, delete, postpone/.test(err)], [2, true], err)
  })
  it('sums 2 domains up, and 1 with --domain', async () => {
    const all = await posthouse('queue', '--socket', socket)
    assert.match(all.out, /READY\s+DEFERRED\s+HELD\s+DOMAIN\n0\s+1\s+0\s+slow\.example\n0\s+0\s+1\s+other\.example\n0\s+1\s+1\s+\(2 domains\)/)
    const one = await posthouse('queue', 'summary', '--domain', 'Slow.example', '--json', '--socket', socket)
    assert.deepEqual(JSON.parse(one.out), [{ domain: 'slow.example', ready: 0, deferred: 1, held: 0 }])
  })

  it('lists 1 line per delivery with the reason and the remote\'s words', async () => {
    const { out, code } = await posthouse('queue', 'list', '--domain', 'slow.example', '--socket', socket)
    assert.equal(code, 0)
    assert.match(out, /m1\.0\s+deferred\s+1h\S* ago\s+2\s+in \S+\s+ann@shop\.example\s+bob@slow\.example\s+Connect: 421 4\.3\.2 come back/)
  })

  it('shows a reply of 2 lines in 1 line of a table, and once where the reason holds it', async () => {
    const said = '450-4.2.1 full\n450 4.2.1 come back'
    entries.push(entry('m4.0', { domain: 'gmail.example', why: 'mx said to RCPT: 450-4.2.1 full / 450 4.2.1 come back', said }), entry('m5.0', { domain: 'gmail.example', said }))
    const { out } = await posthouse('queue', 'list', '--domain', 'gmail.example', '--socket', socket)
    assert.match((await posthouse('why', 'm4.0', '--socket', socket)).out, /^it said {3}450-4\.2\.1 full\n {10}450 4\.2\.1 come back$/m)
    entries.length -= 2
    assert.deepEqual(out.trimEnd().split('\n').slice(1).map((line) => line.split(/ {2,}/).at(-1)), ['mx said to RCPT: 450-4.2.1 full / 450 4.2.1 come back', 'Connect: 450-4.2.1 full / 450 4.2.1 come back'])
  })
  it('says the remote\'s words once where the reason holds them', async () => {
    entries.push(entry('m3.0', { domain: 'xn--bcher-kva.example', why: 'mx said to RCPT: 450 4.2.1 full', said: '450 4.2.1 full' }))
    const listed = await posthouse('queue', 'list', '--domain', 'Bücher.example.', '--socket', socket)
    assert.match(listed.out, /m3\.0 .* mx said to RCPT: 450 4\.2\.1 full\n$/)
    assert.equal(listed.out.match(/450/g)!.length, 1)
    assert.match((await posthouse('why', 'xn--bcher-kva.example', '--socket', socket)).out, /deferred: mx said to RCPT: 450 4\.2\.1 full\n/)
    entries.pop()
  })

  it('takes an address in angle brackets and 4 in another spelling than the queue has, and refuses 3 filters that can never fit', async () => {
    const asked = async (...args: string[]) => (await posthouse('queue', 'list', ...args, '--socket', socket)).err
    assert.match(await asked('--sender', 'demo'), /--sender demo: an address, <> for notices, or a MailSender as namespace\/name/)
    assert.match(await asked('--sender', 'ann@'), /--sender ann@: an address, <> for notices/)
    assert.match(await asked('--domain', 'bob@slow.example'), /--domain bob@slow\.example: a recipient domain/)
    const asGiven = [['<ann@shop.example>', 'ann@shop.example'], ['<>', '<>'], ['shop/shop', 'shop/shop']] as const
    const asTheQueueHasIt = [['Ann@SHOP.Example', 'Ann@shop.example'], ['ann@bücher.example.', 'ann@xn--bcher-kva.example'], ['a/b@shop.example', 'a/b@shop.example'], ['ann@[IPv6:2001:DB8:0::1]', 'ann@[IPv6:2001:db8::1]']] as const
    for (const [sender, as] of [...asGiven, ...asTheQueueHasIt]) {
      assert.equal(await asked('--sender', sender), '')
      assert.equal(filters.at(-1)!.sender, as)
    }
  })

  it('shows 1 delivery by its id, and with --domain the 1 that fits, with its headers', async () => {
    const headers = /^delivery\s+m1\.1\n[\s\S]*\n\nSubject: hello\n$/
    assert.match((await posthouse('queue', 'show', 'm1.1', '--socket', socket)).out, headers)
    assert.match((await posthouse('queue', 'show', '--domain', 'other.example', '--socket', socket)).out, headers)
    assert.match((await posthouse('queue', 'show', 'm1.0', '--socket', socket)).out, /\nschedule\s+RetrySchedule patient\n/)
    const [shown] = JSON.parse((await posthouse('queue', 'show', '--domain', 'other.example', '--json', '--socket', socket)).out) as { entry: QueueEntry }[]
    assert.equal(shown!.entry.id, 'm1.1')
    assert.equal((await posthouse('queue', 'show', '--socket', socket)).code, 2)
  })

  it('takes ids or a filter, and not 2 things at once of which it would do only one', async () => {
    const before = given.length
    for (const command of ['delete', 'show']) assert.equal((await posthouse('queue', command, 'm1', '--domain', 'other.example', '--socket', socket)).code, 2)
    assert.equal(given.length, before)
  })

  it('turns 1 message id into its 2 deliveries, and ends with 1 when one of them was not done', async () => {
    const { out, code } = await posthouse('queue', 'retry', 'm1', '--socket', socket)
    assert.deepEqual(given.at(-1), { order: 'retry', ids: ['m1.1', 'm1.0'] })
    assert.equal(code, 1)
    assert.match(out, /m1\.1 {2}retry: not done, nobody owns it for the moment, try again\nm1\.0 {2}retry: done/)
  })

  it('tells who gives an order: the Unix user, or the 1 that --by names', async () => {
    await posthouse('queue', 'retry', 'm1.0', '--socket', socket)
    await posthouse('queue', 'retry', 'm1.0', '--by', 'ann at night', '--socket', socket)
    assert.deepEqual(givers.slice(-2), [userInfo().username, 'ann at night'])
  })

  it('postpones by a duration or to a time, and refuses 4 that are neither or not to come', async () => {
    const before = Date.now()
    assert.equal((await posthouse('queue', 'postpone', 'm1.0', '--until', '4h', '--socket', socket)).code, 0)
    const until = given.at(-1)!.until!
    assert.ok(until >= before + 4 * 3_600_000 && until <= Date.now() + 4 * 3_600_000, String(until))
    const soon = new Date(Date.now() + 86_400_000).toISOString()
    assert.equal((await posthouse('queue', 'postpone', 'm1.0', '--until', soon, '--socket', socket)).code, 0)
    assert.deepEqual(given.at(-1), { order: 'postpone', ids: ['m1.0'], until: Date.parse(soon) })
    const orders = given.length
    for (const when of ['later', '2001-01-01T00:00Z', '31d', '9999-01-01T00:00Z']) {
      const { code, err } = await posthouse('queue', 'postpone', 'm1.0', '--until', when, '--socket', socket)
      assert.deepEqual([code, /--until|until is at most 30 days/.test(err)], [2, true], err)
    }
    assert.equal((await posthouse('queue', 'postpone', 'm1.0', '--socket', socket)).code, 2)
    assert.equal(given.length, orders)
  })

  it('refuses an order to the whole queue with 2, and gives 0 orders', async () => {
    const before = given.length
    const { err, code } = await posthouse('queue', 'delete', '--socket', socket)
    assert.equal(code, 2)
    assert.match(err, /name ids, --domain or --sender/)
    assert.equal(given.length, before)
  })

  it('bounces and deletes by a filter only with --yes where nobody can be asked, and says that it would take 1', async () => {
    const orders = given.length
    for (const order of ['bounce', 'delete']) {
      const { err, code } = await posthouse('queue', order, '--domain', 'slow.example', '--socket', socket)
      assert.deepEqual([code, err], [2, `${order} would take 1 delivery: nothing was done; --yes does it, --dry-run shows them\n`])
    }
    assert.equal(given.length, orders)
    assert.equal((await posthouse('queue', 'delete', '--domain', 'slow.example', '--yes', '--socket', socket)).code, 0)
    assert.deepEqual(given.at(-1), { order: 'delete', ids: ['m1.0'] })
    assert.equal((await posthouse('queue', 'bounce', 'm1.0', '--socket', socket)).code, 0) // by its id, as ever
    assert.deepEqual(await posthouse('queue', 'delete', '--domain', 'none.example', '--socket', socket), { code: 0, out: 'Nothing in the queue fits.\n', err: '' })
  })

  it('asks on a terminal, and does it after y, not after the 2 other answers', { skip: spawnSync('script', ['--version']).status !== 0 && 'there is no script' }, async () => {
    const answered = (answer: string): Promise<{ code: number; out: string }> =>
      new Promise((resolve) => {
        const command = [process.execPath, join(import.meta.dirname, '..', 'bin', 'posthouse.mjs'), 'queue', 'delete', '--domain', 'slow.example', '--socket', socket].join(' ')
        const child = execFile('script', ['-qec', command, '/dev/null'], { env: { ...process.env, NO_COLOR: '1' } }, (error, out) => resolve({ code: error ? Number(error.code) : 0, out }))
        child.stdout!.on('data', (text: string) => text.includes('[y/N]') && child.stdin!.write(answer))
      })
    const orders = given.length
    for (const no of ['n\n', '\u0004']) {
      const { code, out } = await answered(no)
      assert.deepEqual([code, /delete 1 delivery, and tell nobody\? \[y\/N\]/.test(out), /Nothing was done\./.test(out)], [1, true, true], out)
    }
    assert.equal(given.length, orders)
    assert.equal((await answered('y\n')).code, 0)
    assert.equal(given.length, orders + 1)
  })

  it('says of 6 orders with --dry-run what they would take, and gives 0', async () => {
    const orders = given.length
    const dry = async (...words: string[]) => posthouse('queue', ...words, '--dry-run', '--socket', socket)
    for (const order of ['retry', 'hold', 'bounce', 'delete']) assert.match((await dry(order, '--domain', 'slow.example')).out, new RegExp(`\nm1\\.0 .*\n${order} would take 1 delivery; nothing was done\\.\n$`))
    assert.match((await dry('postpone', 'm1.0', '--until', '4h')).out, /postpone would take 1 delivery/)
    const { code, out } = await dry('release', 'm1', 'm9')
    assert.equal(code, 1)
    assert.match(out, /^m1\.1 [\s\S]*\nm1\.0 {2}release: would not be done, it is not on hold\nm9 {2}release: would not be done, it is not in the queue \(any more\)\nrelease would take 1 delivery; nothing was done\.\n$/m)
    assert.equal(given.length, orders)
  })

  it('says what to do where 0 relays answer', async () => {
    const { err, code } = await posthouse('queue', '--socket', join(folder, 'nobody.sock'))
    assert.equal(code, 2)
    assert.match(err, /no relay answers at .*nobody\.sock \(ENOENT\): start one with npm start/)
  })
})

describe('posthouse why and trace', () => {
  it('explain 1 delivery, its domain with the limits, and 1 that ended', async () => {
    assert.match((await posthouse('why', 'm1.0', '--socket', socket)).out, /schedule\s+RetrySchedule patient\nwhy\s+Connect[\s\S]*it said\s+421 4\.3\.2 come back[\s\S]*limit\s+2 connections at once \(DeliveryRoute mail\/slow\)/)
    assert.match((await posthouse('why', 'slow.example', '--socket', socket)).out, /COUNT\s+NEXT\s+SCHEDULE\s+EXAMPLE\s+WHY\n1\s+in .*RetrySchedule patient\s+m1\.0\s+deferred: Connect: 421 4\.3\.2 come back/)
    assert.match((await posthouse('why', 'm2', '--socket', socket)).out, /not in the queue any more[\s\S]*delivered to mx\.other\.example/)
  })

  it('explain and show all 2 deliveries of a message by its id', async () => {
    assert.deepEqual((await posthouse('why', 'm1', '--socket', socket)).out.match(/^(delivery|limit) .*$/gm), ['delivery  m1.0', 'limit     2 connections at once (DeliveryRoute mail/slow)', 'delivery  m1.1', 'limit     2 connections at once (DeliveryRoute mail/slow)'])
    const told = JSON.parse((await posthouse('why', 'm1', '--json', '--socket', socket)).out) as { kind: string; deliveries: unknown[] }
    assert.deepEqual([told.kind, told.deliveries.length], ['message', 2])
    assert.deepEqual((await posthouse('queue', 'show', 'm1', '--socket', socket)).out.match(/^delivery .*$/gm), ['delivery  m1.0', 'delivery  m1.1'])
    assert.equal((JSON.parse((await posthouse('queue', 'show', 'm1', '--json', '--socket', socket)).out) as unknown[]).length, 2)
  })

  it('end with 1 for a message nobody knows', async () => {
    for (const command of ['why', 'trace']) {
      const { code, err } = await posthouse(command, 'unknown', '--socket', socket)
      assert.equal(code, 1)
      assert.match(err, /unknown/)
    }
  })

  it('find 2 messages by the recipient, a line each, the newest first', async () => {
    const { out, code } = await posthouse('trace', '--to', 'Bob@SLOW.example', '--limit', '2', '--socket', socket)
    assert.equal(code, 0)
    assert.match(out, /^ACCEPTED +ID +FROM +TO +BECAME\n1970-01-01 00:00:01Z +m2 +ann@shop\.example +bob@slow\.example +delivered\n1970-01-01 00:00:00Z +m1 +<> +a@x\.example,b@x\.example,… \(3\) +2 delivered, 1 deferred\nThese are the newest 2; there may be more/)
    const { since, ...asked } = questions.at(-1)!
    assert.deepEqual(asked, { to: 'Bob@slow.example', limit: 2 })
    assert.ok(Math.abs(Date.now() - 86_400_000 - since) < 60_000)
  })

  it('say with 1 that nothing was found, and how far back they looked', async () => {
    const { out, code } = await posthouse('trace', '--to', 'nobody@slow.example', '--since', '3h', '--socket', socket)
    assert.equal(code, 1)
    assert.match(out, /^No such message was accepted since .*\nThat is not all of the trace: nothing before 1970-01-01 00:00:05\.000Z was looked at\. Go on with --until 1970-01-01T00:00:05\.000Z\n$/)
  })

  it('refuse 4 ways of finding that cannot be meant, and a time before the timelines begin', async () => {
    for (const [words, text] of [[['m2', '--to', 'a@b.example'], /not both/], [['--to', 'b.example'], /--to b\.example: an envelope address/], [['--since', '8d'], /--since 8d: .* kept 7 days/], [['--from', 'a@b.example', '--limit', '0'], /--limit 0/]] as const) {
      const { err, code } = await posthouse('trace', ...words, '--socket', socket)
      assert.deepEqual([code, text.test(err)], [2, true], err)
    }
    await posthouse('trace', '--from', '<>', '--json', '--socket', socket)
    assert.equal(questions.at(-1)!.from, '')
  })

  it('show the newest of the timelines with --latest, in 4 lines', async () => {
    const { out } = await posthouse('trace', '--latest', '--socket', socket)
    assert.match(out, /^1970-01-01 00:00:00\.000Z {2}delivered {2}delivered to mx\.other\.example\n +it said: 250 2\.0\.0 taken\n +by order of ann\n +in process p\n$/)
  })

  it('name the process that accepted a message, and of 3 attempts the 2 that another made first', async () => {
    const { out } = await posthouse('trace', 'm6', '--socket', socket)
    assert.deepEqual(out.match(/^\d.* (\w+)$|in process .*$/gm)!.map((line) => line.replace(/^.* (?=\w+$)/, '')), ['accepted', 'a', 'first', 'b', 'second', 'third', 'a'])
  })
})
