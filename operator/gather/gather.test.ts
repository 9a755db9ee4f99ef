import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { documentsOf, gather, nearMiss } from './internal.ts'
import { gatherCluster, printProblem, problemCodes, readManifests, type Problem } from './index.ts'

const read = (text: string): { problems: Problem[]; found: ReturnType<typeof gather> } => {
  const { documents, problems } = documentsOf('a.yaml', text)
  const found = gather(documents)
  return { problems: [...problems, ...found.problems], found }
}

const relay = (spec: string, metadata = 'name: main, namespace: mail'): string => `apiVersion: posthouse.dev/v1alpha1\nkind: MailRelay\nmetadata: {${metadata}}\nspec:\n${spec}\n`
const kind = (name: string, spec: string, metadata = 'name: x, namespace: mail'): string => `apiVersion: posthouse.dev/v1alpha1\nkind: ${name}\nmetadata: {${metadata}}\nspec: ${spec}\n`

const seen = new Set<string>()

type Case = { readonly title: string; readonly text: string; readonly expect: readonly (readonly [code: string, line: number, path: string | undefined, words: RegExp])[] }

const cases: readonly Case[] = [
  { title: 'an unknown field, with the one meant', text: relay('  hostnam: a.example'), expect: [['MISSING', 4, 'spec.hostname', /Name in the greeting/], ['UNKNOWN_FIELD', 5, 'spec.hostnam', /did you mean hostname\?/]] },
  { title: 'an unknown field that is like none, with all that are known', text: relay('  hostname: a.example\n  drain: {qqqq: 1}'), expect: [['UNKNOWN_FIELD', 6, 'spec.drain.qqqq', /known here: timeout/]] },
  { title: 'an unknown field deep in a list, on its own line', text: relay('  hostname: a.example\n  listeners:\n  - name: mx\n    protocol: SMTP\n    prot: 25'), expect: [['MISSING', 7, 'spec.listeners[0].port', /Port of the Service/], ['UNKNOWN_FIELD', 9, 'spec.listeners[0].prot', /did you mean port\?/]] },
  { title: 'an unknown field of metadata', text: relay('  hostname: a.example', 'name: main, lables: {a: b}'), expect: [['UNKNOWN_FIELD', 3, 'metadata.lables', /did you mean labels\?/]] },
  { title: 'a word that is not among those allowed, with the nearest', text: relay('  hostname: a.example\n  listeners: [{name: mx, protocol: Submision, port: 587}]'), expect: [['WRONG_VALUE', 6, 'spec.listeners[0].protocol', /one of SMTP, Submission, Submissions, found "Submision"; did you mean Submission\?/]] },
  { title: 'a number in quotes', text: relay('  hostname: a.example\n  replicas: "3"'), expect: [['WRONG_TYPE', 6, 'spec.replicas', /expected a number, found "3"/]] },
  { title: 'text where a map belongs', text: kind('MailSender', '{relayRef: main}'), expect: [['WRONG_TYPE', 4, 'spec.relayRef', /expected a map of fields, found "main"/]] },
  { title: 'a port that is none', text: relay('  hostname: a.example\n  listeners: [{name: mx, protocol: SMTP, port: 70000}]'), expect: [['INVALID', 6, 'spec.listeners[0].port', /at most 65535, found 70000/]] },
  { title: 'two members of an exactly-one-of', text: relay('  hostname: a.example\n  queue: {managed: {}, external: {servers: ["nats://n:4222"]}}'), expect: [['INVALID', 6, 'spec.queue', /exactly one of managed, external/]] },
  { title: 'no member of an exactly-one-of', text: kind('RetrySchedule', '{giveUpAfter: 1d}', 'name: x'), expect: [['INVALID', 4, 'spec', /exactly one of attempts, backoff/]] },
  { title: 'no member of an exactly-one-of, and a notice after the end, beside a wrong word elsewhere in the schedule', text: kind('RetrySchedule', '{giveUpAfter: 1h, delayNoticeAfter: 2h, overrides: [{when: Greylisted, attempts: [5m]}]}', 'name: x'), expect: [['INVALID', 4, 'spec', /exactly one of attempts, backoff/], ['INVALID', 4, 'spec.delayNoticeAfter', /shorter than giveUpAfter/], ['WRONG_VALUE', 4, 'spec.overrides[0].when', /did you mean Greylist\?/]] },
  { title: 'two listeners of one name, beside a wrong word in one of them', text: relay('  hostname: a.example\n  listeners: [{name: mx, protocol: smtp, port: 25}, {name: mx, protocol: SMTP, port: 26}]'), expect: [['WRONG_VALUE', 6, 'spec.listeners[0].protocol', /did you mean SMTP\?/], ['INVALID', 6, 'spec.listeners[1].name', /"mx" stands in this list twice/]] },
  { title: 'two listeners without a name, as two mistakes', text: relay('  hostname: a.example\n  listeners: [{protocol: SMTP, port: 25}, {protocol: SMTP, port: 26}]'), expect: [['MISSING', 6, 'spec.listeners[0].name', /missing/], ['MISSING', 6, 'spec.listeners[1].name', /missing/]] },
  { title: 'a size that is none, once', text: relay('  hostname: a.example\n  queue: {managed: {storage: {size: lots}}}'), expect: [['INVALID', 6, 'spec.queue.managed.storage.size', /a size in bytes such as 20Gi.*found "lots"/]] },
  { title: 'a size that is too small, once', text: relay('  hostname: a.example\n  queue: {managed: {storage: {size: 1Mi}}}'), expect: [['INVALID', 6, 'spec.queue.managed.storage.size', /at least 64Mi; found "1Mi"/]] },
  { title: 'two listeners of one name', text: relay('  hostname: a.example\n  listeners: [{name: mx, protocol: SMTP, port: 25}, {name: mx, protocol: SMTP, port: 26}]'), expect: [['INVALID', 6, 'spec.listeners[1].name', /"mx" stands in this list twice/]] },
  { title: 'two listeners on one port', text: relay('  hostname: a.example\n  listeners: [{name: mx, protocol: SMTP, port: 25}, {name: b, protocol: SMTP, port: 25}]'), expect: [['INVALID', 6, 'spec.listeners', /same port/]] },
  { title: 'a listener by the name of the port for metrics, and one at it', text: relay('  hostname: a.example\n  listeners: [{name: http, protocol: SMTP, port: 25}, {name: b, protocol: SMTP, port: 9464}]'), expect: [['INVALID', 6, 'spec.listeners[0].name', /http is the name/], ['INVALID', 6, 'spec.listeners[1].port', /at 9464/]] },
  { title: 'a name of a listener that no port may have', text: relay('  hostname: a.example\n  listeners: [{name: a--b, protocol: SMTP, port: 25}]'), expect: [['INVALID', 6, 'spec.listeners[0].name', /no -- in it/]] },
  { title: 'AUTH on an SMTP listener', text: relay('  hostname: a.example\n  listeners: [{name: mx, protocol: SMTP, port: 25, auth: [PLAIN]}]'), expect: [['INVALID', 6, 'spec.listeners[0].auth', /no AUTH/]] },
  { title: 'a duration that is none, and no complaint about what it should be shorter than', text: kind('RetrySchedule', '{attempts: [5x], giveUpAfter: soon, delayNoticeAfter: 4h}', 'name: x'), expect: [['INVALID', 4, 'spec.attempts[0]', /1s to 30d; found "5x"/], ['INVALID', 4, 'spec.giveUpAfter', /1s to 30d/], ['INVALID', 4, 'spec.delayNoticeAfter', /shorter/]] },
  { title: 'a notice after the end', text: kind('RetrySchedule', '{attempts: [5m], giveUpAfter: 1h, delayNoticeAfter: 60m}', 'name: x'), expect: [['INVALID', 4, 'spec.delayNoticeAfter', /shorter than giveUpAfter/]] },
  { title: 'a source that is no range', text: kind('RelayPolicy', '{targetRefs: [{kind: MailRelay, name: main}], rules: [{name: a, match: {sources: [10.0.0.1]}, action: Allow}]}'), expect: [['INVALID', 4, 'spec.rules[0].match.sources[0]', /an address range such as/]] },
  { title: 'credentials without verified TLS', text: kind('DeliveryRoute', '{nextHops: [{smarthost: {host: a.example, credentialsSecretRef: {name: s}}}]}'), expect: [['INVALID', 4, 'spec.nextHops[0].tls.mode', /verified TLS/]] },
  { title: 'a pattern of no known form', text: kind('MailSender', '{relayRef: {name: main}, from: ["a@*.example"]}'), expect: [['INVALID', 4, 'spec.from[0]', /an address pattern/]] },
  { title: 'a MailRelay with a name too long for a Service', text: relay('  hostname: a.example', `name: ${'m'.repeat(41)}`), expect: [['INVALID', 3, 'metadata.name', /at most 40 characters/]] },
  { title: 'a namespace on what has none', text: kind('RetrySchedule', '{attempts: [5m]}'), expect: [['INVALID', 3, 'metadata.namespace', /belongs to no namespace/]] },
  { title: 'a kind mistyped', text: kind('MailDomian', '{}'), expect: [['UNKNOWN_KIND', 2, 'kind', /unknown kind MailDomian; did you mean MailDomain\?/]] },
  { title: 'one of our kinds in another group', text: 'apiVersion: apps/v1\nkind: MailDomain\nmetadata: {name: x}', expect: [['WRONG_VERSION', 1, 'apiVersion', /posthouse.dev\/v1alpha1, found "apps\/v1"/]] },
  { title: 'a list where an object belongs', text: '- 1\n- 2', expect: [['NOT_AN_OBJECT', 1, undefined, /expected a map/]] },
  { title: 'an object without a kind', text: 'apiVersion: v1\nmetadata: {name: x}', expect: [['NOT_AN_OBJECT', 1, 'kind', /kind is missing/]] },
  { title: 'a Secret that is not base64', text: 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: YQ==\n  b: "!"', expect: [['BAD_SECRET', 6, 'data.b', /stringData/]] },
  { title: 'a bare Off, which a cluster would read as false', text: relay('  hostname: a.example\n  resolver: {dnssec: Off}'), expect: [['AMBIGUOUS', 6, undefined, /write "Off" in quotes/]] },
  { title: 'an object that stands twice', text: `${relay('  hostname: a.example')}---\n${relay('  hostname: b.example')}`, expect: [['DUPLICATE', 7, undefined, /already in a.yaml, document 1, line 1/]] },
  { title: 'a field twice in one map', text: relay('  hostname: a.example\n  hostname: b.example'), expect: [['NOT_YAML', 6, undefined, /unique/]] },
  { title: 'a pattern without its quotes', text: kind('MailSender', '{relayRef: {name: main}, from: [*@a.example]}'), expect: [['NOT_YAML', 4, undefined, /must stand in quotes/]] },
]

for (const { title, text, expect } of cases) {
  test(`reports ${title}`, () => {
    const { problems } = read(text)
    const told = problems.map(({ code, line, path }) => [code, line, path])
    assert.deepEqual(told.sort(byText), expect.map(([code, line, path]) => [code, line, path]).sort(byText))
    for (const [code, line, path, words] of expect) {
      const problem = problems.find((one) => one.code === code && one.line === line && one.path === path)!
      assert.match(printProblem(problem), words)
      seen.add(code)
    }
  })
}
const byText = (a: unknown[], b: unknown[]): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

test('an object of another group is left alone with a warning, and the rest is read', () => {
  const { problems, found } = read(`apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n${relay('  hostname: a.example')}`)
  assert.deepEqual(problems.map(({ level, code }) => [level, code]), [['warning', 'IGNORED_KIND']])
  assert.equal(found.declared.relays.length, 1)
})

test('one broken document of 3 does not hide the other 2, and lines count from the top of the file', () => {
  const { problems, found } = read(`${relay('  hostname: a.example')}---\nkind: [\n---\n${kind('MailDomain', '{domian: x}')}`)
  assert.equal(found.declared.relays.length, 1)
  assert.deepEqual(problems.filter(({ code }) => code === 'UNKNOWN_FIELD').map(({ document, line }) => [document, line]), [[3, 12]])
})

test('the items of a List, as kubectl prints them, are read one by one with their own lines', () => {
  const { problems, found } = read('apiVersion: v1\nkind: List\nitems:\n- apiVersion: posthouse.dev/v1alpha1\n  kind: MailRelay\n  metadata: {name: main}\n  spec: {hostname: a.example}\n- apiVersion: posthouse.dev/v1alpha1\n  kind: MailRelay\n  metadata: {name: b}\n  spec:\n    hostnam: b.example\n')
  assert.equal(found.declared.relays.length, 1)
  assert.deepEqual(problems.map(({ code, line, path }) => [code, line, path]).sort(byText), [['MISSING', 11, 'spec.hostname'], ['UNKNOWN_FIELD', 12, 'spec.hostnam']])
})

test('what stands in quotes, and true and false, are not ambiguous', () => {
  assert.deepEqual(read(relay('  hostname: a.example\n  paused: true\n  resolver: {dnssec: "Off"}')).problems, [])
})

test('of 2 objects of a cluster the 1 with a field of another release is left out and told, with its generation and status', () => {
  const of = (name: string, spec: object) => ({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailDomain', object: { metadata: { name, namespace: 'mail', generation: 7 }, spec: { domain: `${name}.example`, ...spec }, status: { relays: [] } } })
  const { manifests, mistaken } = gatherCluster([of('good', {}), of('odd', { future: 1 })], [])
  assert.deepEqual([manifests.map(({ metadata: { name } }) => name), mistaken.length], [['good'], 1])
  const { message, ...found } = mistaken[0]!
  assert.deepEqual(found, { object: { kind: 'MailDomain', namespace: 'mail', name: 'odd' }, generation: 7, status: { relays: [] } })
  assert.match(message, /^spec.*future/)
})

test('a Secret gives data decoded and stringData over it; a Namespace its labels', () => {
  const { problems, found } = read('apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: mail}\ndata: {a: YQ==, b: Yg==}\nstringData: {b: B}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {mail: allowed}}')
  assert.deepEqual(problems, [])
  assert.deepEqual(found.declared.secrets, [{ namespace: 'mail', name: 's', data: { a: 'a', b: 'B' } }])
  assert.deepEqual(found.declared.namespaces, [{ name: 'shop', labels: { mail: 'allowed' } }])
})

test('without a namespace an object is in default, and the status that kubectl wrote is no mistake', () => {
  const { problems, found } = read(`${relay('  hostname: a.example', 'name: main, uid: u, resourceVersion: "1", creationTimestamp: 2026-01-01T00:00:00Z, managedFields: []')}status: {replicas: 1}\n`)
  assert.deepEqual(problems, [])
  assert.equal(found.declared.relays[0]!.metadata.namespace, 'default')
})

const folder = (t: TestContext, files: Record<string, string>): string => {
  const path = mkdtempSync(join(tmpdir(), 'posthouse-manifests-'))
  t.after(() => rmSync(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

test('reads *.yaml and *.yml in order of name and nothing else; one file alone may be named too', (t) => {
  const path = folder(t, { 'b.yml': relay('  hostname: b.example', 'name: b'), 'a.yaml': relay('  hostname: a.example', 'name: a'), 'c.txt': 'not: [yaml', 'd.yaml.bak': 'x' })
  assert.deepEqual(readManifests(path).declared.relays.map(({ metadata }) => metadata.name), ['a', 'b'])
  assert.deepEqual(readManifests(join(path, 'b.yml')).declared.relays.map(({ metadata }) => metadata.name), ['b'])
})

test('a folder without manifests, and one that is not there, are problems of their own', (t) => {
  const codes = [readManifests(folder(t, { 'a.txt': '' })), readManifests('/nowhere/at/all')].flatMap(({ problems }) => problems.map(({ code }) => code))
  assert.deepEqual(codes, ['NO_MANIFESTS', 'FOLDER_UNREADABLE'])
})

test('every code of the table is told by a test above, but those of compiling', () => {
  const elsewhere = ['REFUSED', 'NOTED', 'NO_MANIFESTS', 'FOLDER_UNREADABLE', 'IGNORED_KIND']
  assert.deepEqual(Object.keys(problemCodes).filter((code) => !seen.has(code) && !elsewhere.includes(code)), [])
})

test('whatever the text is, reading it ends in documents or problems and never throws', () => {
  const piece = fc.constantFrom('apiVersion: posthouse.dev/v1alpha1\n', 'kind: MailRelay\n', 'kind: Secret\n', 'metadata: {name: a}\n', 'metadata: 3\n', 'spec: {}\n', 'spec: [1]\n', '---\n', '- x\n', '&a [*a]\n', '!!binary x\n', '? {a: b}\n', '\t', '"', 'data: {a: 1}\n', '<<: *x\n', '...\n', '%YAML 9\n')
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => void read(pieces.join(''))), { numRuns: 2000 })
})

test('a near miss is one slip of the keyboard or two in a longer word, not another word', () => {
  const known = ['hostname', 'replicas', 'listeners', 'queue', 'tls']
  assert.deepEqual(['hostnam', 'Hostname', 'hsotname', 'listner', 'qeue', 'zebra', 'x'].map((word) => nearMiss(word, known)), ['hostname', 'hostname', 'hostname', 'listeners', 'queue', undefined, undefined])
})

test('of 1 object all is told at once: a misspelt field beside a bare word that a cluster reads otherwise, and beside fields that are not implemented', () => {
  const told = (text: string): string[] => read(text).problems.map(({ code, path, reason }) => [code, path, reason].filter((part) => part !== undefined).join(' ')).sort()
  assert.deepEqual(told(relay('  hostname: a.example\n  drane: {}\n  resolver: {dnssec: Off}')), ['AMBIGUOUS', 'UNKNOWN_FIELD spec.drane'])
  assert.deepEqual(told(kind('MailSender', '{relayRef: {name: main}, form: ["*"], identity: {podSelector: {}}}')), ['REFUSED spec.identity.podSelector NotImplemented', 'UNKNOWN_FIELD spec.form'])
  assert.deepEqual(told(kind('RelayPolicy', '{targetRefs: [{kind: MailRelay, name: main}], rules: [{name: a, action: Redirect}, {nam: b, name: b, action: Deny}]}')), ['REFUSED spec.rules[0].action NotImplemented', 'UNKNOWN_FIELD spec.rules[1].nam'])
  assert.deepEqual(told(kind('RelayPolicy', '{targetRefs: [{kind: MailRelay, name: main}], rules: {action: Redirect}}')), ['WRONG_TYPE spec.rules'], 'what is no list holds no rule')
})
