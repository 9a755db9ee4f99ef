import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

/** A kubectl that knows some pods, writes down how it was called, one word a line, and what came in. */
const standIn = (t: TestContext, pods: string): { folder: string; calls: () => string[][]; came: () => string } => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-kubectl-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'pods'), pods)
  writeFileSync(
    join(folder, 'kubectl'),
    `#!/bin/sh
{ for word; do printf '%s\\n' "$word"; done; echo; } >>"${folder}/calls"
case " $* " in
  *' get pods '*) cat "${folder}/pods" ;;
  *' auth whoami '*) cat "${folder}/whoami" 2>/dev/null ;;
  *' exec '*) case " $* " in *' --stdin '*) cat >"${folder}/came" ;; esac; exit 7 ;;
esac
`,
  )
  chmodSync(join(folder, 'kubectl'), 0o755)
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  return { folder, calls: () => read('calls').trim().split('\n\n').map((call) => call.split('\n')), came: () => read('came') }
}

const plugin = (folder: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    execFile('sh', [join(import.meta.dirname, 'kubectl-posthouse'), ...args], { env: { ...process.env, PATH: `${folder}:${process.env.PATH}` } }, (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err })).stdin?.end()
  })

const three = 'main-a main False leaving=\nmain-b main True leaving=\nmain-c main True leaving=2026-01-01T00:00:00Z\n'
const inside = ['--container', 'relay', '--', '/usr/local/bin/node', '/app/bin/posthouse.mjs']

test('of 3 pods the plugin asks the 1 that is ready and stays, and ends with its exit code, here 7', async (t) => {
  const { folder, calls } = standIn(t, three)
  const { code } = await plugin(folder, 'queue', 'list', '-n', 'mail', '--domain', 'a.example')
  assert.equal(code, 7)
  const [look, exec] = calls()
  assert.deepEqual(look!.slice(0, 6), ['--namespace', 'mail', 'get', 'pods', '--selector', 'app.kubernetes.io/name=posthouse,app.kubernetes.io/component=relay'])
  assert.deepEqual(exec, ['--namespace', 'mail', 'exec', 'main-b', ...inside, 'queue', 'list', '--domain', 'a.example'])
})

test('an order is given in the name of whom the cluster knows, else of the user of this machine; 1 question asks nobody', async (t) => {
  const { folder, calls } = standIn(t, three)
  await plugin(folder, 'queue', 'hold', 'm1.0')
  writeFileSync(join(folder, 'whoami'), "oidc:o'brien")
  await plugin(folder, 'queue', 'delete', '--domain', 'a.example')
  await plugin(folder, 'queue', 'list')
  await plugin(folder, 'queue', 'retry', 'm1', '--by', 'ann')
  const said = calls().filter(([, word]) => word === 'main-b').map((call) => call.slice(2 + inside.length))
  assert.deepEqual(said, [['queue', 'hold', 'm1.0', '--by', userInfo().username], ['queue', 'delete', '--domain', 'a.example', '--by', "oidc:o'brien"], ['queue', 'list'], ['queue', 'retry', 'm1', '--by', 'ann']])
})

test('words with spaces, quotes, dollars and nothing in them reach the pod as they are: 4 of them', async (t) => {
  const { folder, calls } = standIn(t, three)
  await plugin(folder, '--context', "it's", 'talk', 'localhost:2525', "mail from: o'brien", '$(id)', '<a b@c.example>')
  assert.deepEqual(calls()[1], ['--context', "it's", 'exec', 'main-b', ...inside, 'talk', 'localhost:2525', "mail from: o'brien", '$(id)', '<a b@c.example>'])
})

test('a name of a MailRelay with quotes and dollars in it is 1 word of the selector, and runs nothing', async (t) => {
  const { folder, calls } = standIn(t, three)
  await plugin(folder, 'queue', '--mail-relay', `a;touch '${folder}/made';$(id)`)
  assert.equal(calls()[0]![3], `app.kubernetes.io/name=posthouse,app.kubernetes.io/component=relay,app.kubernetes.io/instance=a;touch '${folder}/made';$(id)`)
  assert.equal(existsSync(join(folder, 'made')), false)
})

test('--as is kubectl\'s before can-send and the mail\'s behind it, in 1 call', async (t) => {
  const { folder, calls } = standIn(t, three)
  await plugin(folder, '--as', 'admin', 'can-send', '--as', 'shop/shop', '--from', 'a@b.c', '--to', 'd@e.f', '--pod', 'main-a')
  assert.deepEqual(calls(), [['--as', 'admin', 'exec', 'main-a', ...inside, 'can-send', '--as', 'shop/shop', '--from', 'a@b.c', '--to', 'd@e.f']])
})

test('where a namespace has 2 MailRelays the plugin asks which, and with --mail-relay selects', async (t) => {
  const { folder, calls } = standIn(t, 'a-1 a True leaving=\nb-1 b True leaving=\n')
  const asked = await plugin(folder, 'queue')
  assert.deepEqual([asked.code, asked.err], [2, 'kubectl posthouse: the namespace has several MailRelays; name one: --mail-relay a --mail-relay b\n'])
  await plugin(folder, 'queue', '--mail-relay', 'b')
  assert.match(calls()[1]!.join(' '), /--selector \S+,app\.kubernetes\.io\/instance=b /)
})

test('0 pods are an error that says where to look; so is a command that is none, and none at all', async (t) => {
  const { folder } = standIn(t, '')
  const [none, wrong, nothing, help] = [await plugin(folder, 'queue', '-n', 'shop'), await plugin(folder, 'sink'), await plugin(folder), await plugin(folder, '--help')]
  assert.deepEqual([none.code, wrong.code, nothing.code, help.code], [2, 2, 2, 0])
  assert.match(none.err, /no relay pod in this namespace; kubectl get mailrelays --all-namespaces/)
  assert.match(wrong.err, /sink: one of status, queue, why, trace/)
  assert.match(help.out, /kubectl posthouse \[-n NAMESPACE\]/)
})

test('check sends 2 files of a folder and 1 more in, each under its name', async (t) => {
  const { folder, calls, came } = standIn(t, three)
  const here = mkdtempSync(join(tmpdir(), "posthouse it's "))
  t.after(() => rmSync(here, { recursive: true }))
  for (const name of ['a.yaml', 'b.yml', 'c.txt', 'd.yaml']) writeFileSync(join(here, name), `kind: ${name}`)
  const { code } = await plugin(folder, 'check', '--json', '-f', here, '-f', join(here, 'c.txt'))
  assert.equal(code, 7)
  assert.deepEqual(calls()[1], ['exec', '--stdin', 'main-b', ...inside, 'check', '-f', '-', '--json'])
  assert.deepEqual([...came().matchAll(/# Source: .*\/(.*)\nkind: (.*)/g)].map(([, file, kind]) => [file, kind]), [['a.yaml', 'a.yaml'], ['d.yaml', 'd.yaml'], ['b.yml', 'b.yml'], ['c.txt', 'c.txt']])
  const gone = await plugin(folder, 'check', '-f', join(here, 'gone'))
  assert.equal(gone.code, 2)
  assert.match(gone.err, /gone: no such file or folder/)
})

test('can-send -f asks about 1 manifest of this machine, as standalone does, and not about a file in the pod; -f may stand right before its value', async (t) => {
  const { folder, calls, came } = standIn(t, three)
  const manifest = join(folder, 'all.yaml')
  writeFileSync(manifest, 'kind: MailRelay')
  const words = ['--as', 'stranger', '--from', 'a@b.c', '--to', 'd@e.f']
  for (const file of [['-f', manifest], [`-f${manifest}`], [`--file=${manifest}`]]) {
    assert.equal((await plugin(folder, 'can-send', ...file, ...words)).code, 7)
    assert.deepEqual(calls().at(-1), ['exec', '--stdin', 'main-b', ...inside, 'can-send', '-f', '-', ...words])
    assert.match(came(), /# Source: .*\/all\.yaml\nkind: MailRelay/)
  }
})
