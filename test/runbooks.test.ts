// The commands of posthouse on the pages for a person on call, as they stand there, at a real relay with mail that waits.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { exerciseManifests } from './tools/exercise.ts'
import { freePort } from '../cli/standalone/nats-process.ts'
import { idIn, startStandalone, type Standalone } from './tools/relay-process.ts'
import { openSmtp, sendMail } from './tools/smtp-client.ts'
import { startTestDns, type TestDns } from './tools/dns-server.ts'
import { until } from './tools/until.ts'

const docs = join(import.meta.dirname, '../docs')
const pages = [...readdirSync(join(docs, 'runbooks')).map((name) => `runbooks/${name}`), 'troubleshooting.md']
const folder = mkdtempSync(join(tmpdir(), 'posthouse-runbooks-'))
const manifests = join(folder, 'manifests')

type Command = { readonly page: string; readonly line: string }

/** What stands behind `posthouse` in lines of shell and in code within a sentence; `queue …` alone is said where the plugin was named. */
const commandsOf = (page: string): Command[] => {
  const text = readFileSync(join(docs, page), 'utf8')
  const lines = [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) => block!.split('\n'))
  const spans = [...text.replaceAll(/```.*?```/gs, '').matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
  return [...lines, ...spans].flatMap((line) => {
    const found = /^(?:kubectl posthouse -n mail |posthouse |(?=queue ))([a-z].*?)(?: +[#|].*)?$/.exec(line)
    return found ? [{ page, line: found[1]! }] : []
  })
}

/** Not asked here: what needs another program's words, or does not end. */
const commands = pages.flatMap(commandsOf).filter(({ line }) => !line.includes('…') && !/^(talk|sink|queue hold\|)/.test(line))

let dns: TestDns
let relay: Standalone
let id: string
before(async () => {
  dns = await startTestDns()
  mkdirSync(manifests)
  writeFileSync(join(manifests, 'all.yaml'), exerciseManifests(await freePort(), dns.nameserver).replaceAll('down.example', 'example.org'))
  relay = await startStandalone({ folder, manifests })
  const client = await openSmtp(relay.ports.mx!)
  await client.say('EHLO client.example')
  id = idIn((await sendMail(client, { from: 'joe@up.example', to: ['fred@example.org'], data: 'Subject: x\r\n\r\nx\r\n' })).data!.text)
  client.close()
  await until('one waits', async () => (await relay.posthouse('queue', 'list', '--state', 'deferred')).output.includes(id))
})
after(async () => {
  await relay?.stop()
  await dns?.close()
  rmSync(folder, { recursive: true, force: true })
})

const filled = (line: string): string => (/^queue (show|bounce|delete|hold|release)$/.test(line) ? `${line} ${id}` : line).replace(/\bID\b/, id).replace('ann@far.example', 'fred@example.org').replace(/\bDOMAIN\b/, 'example.org').replace(/\bNS\/NAME\b/, 'shop/shop').replace(/\bDIR\b/, manifests).replace(/ --sender$/, ' --sender shop/shop')

const isOrder = (line: string): boolean => /^queue (hold|release|retry|postpone|bounce|delete)/.test(line)

it('are at least 15, and each ends with 0 as it stands; an order, and probe of a domain without hosts, with what they are expected to say', async () => {
  const lines = new Map(commands.map(({ page, line }) => [filled(line), page]))
  assert.ok(lines.size >= 15, [...lines.keys()].join('\n'))
  const faults: string[] = []
  for (const [line, page] of lines) {
    const more = isOrder(line) ? ['--dry-run'] : line.startsWith('probe') ? ['--nameserver', dns.nameserver, '--port', '1'] : []
    const { code, output } = await relay.posthouse(...line.split(' '), ...more)
    const isAsExpected = line.startsWith('probe') ? code === 1 && output.includes('there is no host to talk to') : code === 0
    if (!isAsExpected) faults.push(`${page}: posthouse ${line}: ended with ${code}: ${output.trim()}`)
  }
  assert.deepEqual(faults, [])
})

it('that are piped into jq, 1 of them, name fields that a delivery in the list has', async () => {
  const [line, ...more] = pages.flatMap((name) => [...readFileSync(join(docs, name), 'utf8').matchAll(/^kubectl posthouse .*--json \| jq -r '(.*?)'/gm)].map(([, program]) => program!))
  assert.deepEqual(more, [])
  const [entry] = JSON.parse((await relay.posthouse('queue', 'list', '--json')).output) as object[]
  const known = [...Object.keys(entry!), 'sender'] // of a MailSender only
  assert.deepEqual([...line!.matchAll(/\.([a-zA-Z]+)/g)].map(([, field]) => field!).filter((field) => !known.includes(field)), [])
})

it('that end mail for a whole domain, 1 at least, do nothing until somebody says yes', async () => {
  const final = commands.filter(({ line }) => /^queue (bounce|delete) --domain/.test(line))
  assert.ok(final.length >= 1)
  for (const { page, line } of final) {
    const { code, output } = await relay.posthouse(...line.split(' '))
    assert.equal(code, 2, page)
    assert.match(output, /would take 1 delivery: nothing was done/)
  }
  assert.match((await relay.posthouse('queue', 'show', id)).output, /^delivery {2}/)
})
