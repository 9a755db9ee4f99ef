// The Helm chart without a cluster: what it renders, as files beside the values; whether Kubernetes 1.33 to 1.35 know every field of it; what it refuses.
// `node --test --test-update-snapshots test/cluster/chart.test.ts` writes chart/*.rendered.yaml anew.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { changeable, readChart } from '../../charts/readme.ts'
import { parseDuration } from '../../crds/index.ts'
import { runChild } from '../tools/child.ts'
import { isBuilt, programPath } from './tools/build.ts'
import { chartFolder, objectsIn, render, renderObjects } from './tools/chart.ts'
import { kubernetesVersions, patchVersionOf, schemaLocations } from './tools/schemas.ts'

const root = join(import.meta.dirname, '../..')
const sets = readdirSync(join(import.meta.dirname, 'chart')).filter((name) => name.endsWith('.values.yaml')).map((name) => name.slice(0, -'.values.yaml'.length))
const valuesOf = (set: string): object => parse(readFileSync(join(import.meta.dirname, 'chart', `${set}.values.yaml`), 'utf8')) as object

const lacks = (['helm', 'kubeconform'] as const).filter((name) => !isBuilt(name)).map((name) => `node test/cluster/tools/build.ts ${name}`)
describe('the chart', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let folder: string
  before(() => void (folder = mkdtempSync(join(tmpdir(), 'posthouse-chart-'))))
  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const set of sets) {
    it(`has 0 faults that helm lint --strict knows, with ${set} values`, async () => {
      const { code, output } = await runChild(programPath('helm'), ['lint', '--strict', '--kube-version', '1.35.0', chartFolder, '--values', join(import.meta.dirname, 'chart', `${set}.values.yaml`)], { mayFail: true })
      assert.equal(code, 0, output)
    })

    it(`renders ${set} values as in chart/${set}.rendered.yaml`, async (t) => {
      const { text, output, code } = await render(valuesOf(set))
      assert.equal(code, 0, output)
      const kept = text.split(/^---\n/m).filter((document) => !/^kind: (CustomResourceDefinition|ConfigMap)$/m.test(document)) // those are files already
      t.assert.fileSnapshot(kept.join('---\n'), join(import.meta.dirname, 'chart', `${set}.rendered.yaml`), { serializers: [(value: unknown) => value as string] })
    })
  }

  it('installed by the first command of docs/install.md tries the 1 relay of examples/cluster, so that the 4 commands work one after the other', async () => {
    const manual = readFileSync(join(root, 'docs/install.md'), 'utf8')
    const [block] = /```sh\nhelm install [^`]*helm test [^`]*```/.exec(manual)!
    const sets = [...block.matchAll(/--set (\S+)/g)].flatMap(([, text]) => text!.split(','))
    const values: Record<string, Record<string, string>> = {}
    for (const [path, value] of sets.map((set) => set.split(/=(.*)/) as [string, string])) (values[path.split('.')[0]!] ??= {})[path.split('.')[1]!] = value
    const relay = objectsIn(readFileSync(join(root, 'examples/cluster/1-platform.yaml'), 'utf8')).find(({ kind }) => kind === 'MailRelay')!.metadata
    const tests = (await renderObjects(values)).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test')
    assert.equal(tests.length, 1)
    assert.match(JSON.stringify(tests[0]!.spec), new RegExp(`"${relay.name}\\.${relay.namespace}\\.svc[a-z.]*:25"`))
  })

  for (const version of kubernetesVersions) {
    const conform = async (...files: string[]): Promise<{ code: number; output: string }> => {
      const locations = (await schemaLocations(version, folder)).flatMap((location) => ['-schema-location', location])
      return runChild(programPath('kubeconform'), ['-strict', '-summary', '-kubernetes-version', patchVersionOf(version), ...locations, ...files], { mayFail: true })
    }
    it(`renders objects of which Kubernetes ${version} knows every field, with each of ${sets.length} sets of values; and so are the examples`, async () => {
      const files = await Promise.all(
        sets.map(async (set) => {
          const file = join(folder, `${set}-${version}.yaml`)
          writeFileSync(file, (await render(valuesOf(set), { version })).text)
          return file
        }),
      )
      const { code, output } = await conform(...files, join(root, 'examples/cluster'))
      assert.equal(code, 0, output)
      assert.match(output, /Invalid: 0, Errors: 0, Skipped: 0/)
    })

    it(`would have told of 1 field that Kubernetes ${version} does not know, and of 1 of ours`, async () => {
      const file = join(folder, `wrong-${version}.yaml`)
      writeFileSync(file, (await render({ crds: { install: false }, deployment: { merge: { spec: { replica: 3 } } } }, { version })).text)
      const ours = join(folder, `ours-${version}.yaml`)
      writeFileSync(ours, JSON.stringify({ apiVersion: 'posthouse.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'a' }, spec: { hostname: 'a.example', replica: 3 } }))
      for (const [wrong, place] of [[file, /\/spec.*replica/], [ours, /\/spec.*replica/]] as const) {
        const { code, output } = await conform(wrong)
        assert.notEqual(code, 0)
        assert.match(output, place)
        assert.match(output, /Invalid: 1, Errors: 0/)
      }
    })
  }

  it('renders nothing by default that a cluster without further CRDs does not know: 0 kinds of other groups', async () => {
    const known = /^(v1|apps\/v1|batch\/v1|policy\/v1|networking\.k8s\.io\/v1|rbac\.authorization\.k8s\.io\/v1|apiextensions\.k8s\.io\/v1)$/
    assert.deepEqual((await renderObjects({})).map(({ apiVersion }) => apiVersion!).filter((version) => !known.test(version)), [])
  })

  it('has 6 CRDs that fit into the annotation of a client-side apply, 262,144 bytes with all others', async () => {
    const sizes = (await renderObjects({})).filter(({ kind }) => kind === 'CustomResourceDefinition').map((crd) => Buffer.byteLength(JSON.stringify(crd)))
    assert.equal(sizes.length, 6)
    assert.ok(Math.max(...sizes) < 200_000, sizes.join())
  })

  it('puts the labels and annotations for all on each of its objects', async () => {
    const objects = await renderObjects({ ...valuesOf('everything'), watchNamespaces: ['mail'] })
    assert.ok(objects.length > 20)
    for (const { kind, metadata } of objects) assert.deepEqual([metadata.labels?.['cost-centre'], metadata.annotations?.['argocd.argoproj.io/sync-options']], ['42', 'ServerSideApply=true'], `${kind} ${metadata.name}`)
  })

  it('changes each of its objects by merge and by patch', async () => {
    const places = changeable(readChart())
    const values = places.map((place) => nested(place, { merge: { metadata: { labels: { 'x-merge': place } } }, patch: [{ op: 'add', path: '/metadata/labels/x-patch', value: place }] })).reduce(deepMerge, { ...valuesOf('everything'), watchNamespaces: ['mail'] } as Tree)
    const objects = (await renderObjects(values)).filter(({ kind }) => kind !== 'Certificate')
    for (const { kind, metadata } of objects) assert.ok(metadata.labels?.['x-merge'] !== undefined && metadata.labels['x-merge'] === metadata.labels['x-patch'], `${kind} ${metadata.name}`)
    assert.deepEqual([...new Set(objects.map(({ metadata }) => metadata.labels!['x-merge']!))].sort(), places.toSorted())
  })

  it('passes the operator 0 flags that it does not have', async () => {
    const [deployment] = (await renderObjects({ watchNamespaces: ['mail'] })).filter(({ kind }) => kind === 'Deployment')
    const { args } = (deployment!.spec as { template: { spec: { containers: { args: string[] }[] } } }).template.spec.containers[0]!
    const help = execFileSync(process.execPath, [join(root, 'bin/posthouse.mjs'), 'operator', '--help'], { encoding: 'utf8' })
    const known = [...help.matchAll(/^ +(--[a-z-]+)/gm)].map(([, flag]) => flag!)
    assert.equal(args[0], 'operator')
    assert.deepEqual(args.slice(1).map((arg) => arg.split('=')[0]!).filter((flag) => !known.includes(flag)), [])
  })

  const argsOfTest = async (values: object): Promise<string[]> => {
    const [pod] = (await renderObjects(values)).filter(({ kind }) => kind === 'Pod')
    return (pod!.spec as { containers: { args: string[] }[] }).containers[0]!.args
  }

  it('hands the test 3 values as they are, whatever they mean in YAML', async () => {
    assert.deepEqual(await argsOfTest({ test: { server: '[fd00::1]:25', from: 'fred: "the" #1@browncow.example', to: 'a@x.example # no comment' } }), [
      'send', '--from=fred: "the" #1@browncow.example', '--to=a@x.example # no comment', '--subject=helm test of posthouse in posthouse', '[fd00::1]:25',
    ])
  })

  it('takes null for the 1 value of the test that may be empty: the sender of notices', async () => {
    assert.equal((await argsOfTest({ test: { from: null } }))[1], '--from=')
  })

  it('sends the test to a MailRelay that the operator looks after, of 3 choices of namespaces', async () => {
    const servers = await Promise.all([[], ['mail', 'shop'], ['mail', 'posthouse']].map(async (watchNamespaces) => (await argsOfTest({ watchNamespaces })).at(-1)))
    assert.deepEqual(servers, ['main.posthouse.svc.cluster.local:25', 'main.mail.svc.cluster.local:25', 'main.posthouse.svc.cluster.local:25'])
  })

  it('takes for probeEvery what the operator takes, and refuses 6 texts with which it would not start', () => {
    const { pattern } = readChart().schema.properties!.probeEvery as { readonly pattern: string }
    const taken = (text: string): boolean => new RegExp(pattern).test(text)
    const starts = (text: string): boolean => (parseDuration(text) ?? 0) >= 10
    const good = ['10s', '90s', '5m', '5m30s', '1h', '1h30m', '24h', '699h']
    const bad = ['5s', '0m', '0h5s', '900h', '1.5h', '']
    assert.deepEqual([good, bad].map((texts) => texts.map((text) => [taken(text), starts(text)])), [good.map(() => [true, true]), bad.map(() => [false, false])])
  })

  it('runs the pods of its 2 hooks where the operator may run, with its resources: on nodes with taints, and under a quota', async () => {
    type PodSpec = { readonly nodeSelector?: object; readonly tolerations?: object; readonly affinity?: { readonly nodeAffinity?: object }; readonly containers: readonly { readonly resources?: object }[] }
    const objects = await renderObjects({ ...valuesOf('everything'), crds: { install: false } })
    const placeOf = (wanted: string) => {
      const { spec } = objects.find(({ kind }) => kind === wanted)!
      const { nodeSelector, tolerations, affinity, containers } = (spec as { template?: { spec: PodSpec } }).template?.spec ?? (spec as PodSpec)
      return { nodeSelector, tolerations, nodeAffinity: affinity?.nodeAffinity, resources: containers[0]!.resources }
    }
    const operator = placeOf('Deployment')
    assert.ok(Object.values(operator).every((part) => part !== undefined))
    assert.deepEqual([placeOf('Pod'), placeOf('Job')], [operator, operator])
  })

  it('takes null for nothing, in each of 12 lists and maps', async () => {
    const nothing = ['imagePullSecrets', 'watchNamespaces', 'podLabels', 'podAnnotations', 'resources', 'labels', 'serviceAccount.annotations', 'networkPolicy.from', 'serviceMonitor.labels', 'podMonitor.labels', 'dashboards.labels', 'alerts.ruleLabels']
    const { code, output, text } = await render(nothing.map((path) => nested(path, null)).reduce<Tree>(deepMerge, valuesOf('everything') as Tree))
    assert.equal(code, 0, output)
    assert.doesNotMatch(text, /<nil>/)
  })

  const refusals: readonly (readonly [object, RegExp])[] = [
    [{ replica: 3 }, /at '': additional properties 'replica' not allowed/],
    [{ replicas: 'three' }, /at '\/replicas': got string, want integer/],
    [{ image: { tags: 'x' } }, /at '\/image': additional properties 'tags' not allowed/],
    [{ image: { digest: 'sha256:abc' } }, /at '\/image\/digest': 'sha256:abc' does not match pattern/],
    [{ image: { pullPolicy: 'Sometimes' } }, /at '\/image\/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'/],
    [{ image: { pullPolicy: null } }, /at '\/image': missing property 'pullPolicy'/],
    [{ clusterDomain: null, probeEvery: null }, /at '': missing properties 'clusterDomain', 'probeEvery'/],
    [{ networkPolicy: null }, /at '': missing property 'networkPolicy'/],
    [{ probeEvery: '5s' }, /at '\/probeEvery': '5s' does not match pattern/],
    [{ watchNamespaces: ['Mail'] }, /at '\/watchNamespaces\/0': 'Mail' does not match pattern/],
    [{ watchNamespaces: 'mail' }, /at '\/watchNamespaces': got string, want array/],
    [{ resources: { limit: {} } }, /at '\/resources': additional properties 'limit' not allowed/],
    [{ certificates: [{ name: 'a' }] }, /at '\/certificates\/0': missing properties 'dnsNames', 'issuerRef'/],
    [{ deployment: { patch: [{ op: 'put', path: '/a' }] } }, /at '\/deployment\/patch\/0\/op': value must be one of/],
    [{ deployment: { patch: [{ op: 'add', path: '/a' }] } }, /at '\/deployment\/patch\/0'.*missing property 'value'/s],
    [{ deployment: { patch: [{ op: 'remove', path: 'spec' }] } }, /at '\/deployment\/patch\/0\/path': 'spec' does not match pattern/],
    [{ test: { server: 'relay' } }, /at '\/test\/server': 'relay' does not match pattern/],
    [{ deployment: { patch: [{ op: 'remove', path: '/spec/gone' }] } }, /deployment\.patch\[0\] \(remove \/spec\/gone\): there is no "gone", only replicas, selector, template/],
    [{ rbac: { role: { patch: [{ op: 'remove', path: '/rules/99' }] } }, watchNamespaces: ['mail'] }, /rbac\.role\.patch\[0\] \(remove \/rules\/99\): there is no place 99 in a list of \d+/],
  ]
  for (const [values, words] of refusals)
    it(`refuses ${JSON.stringify(values)}, and says which value and why`, async () => {
      const { code, output } = await render(values)
      assert.notEqual(code, 0)
      assert.match(output, words)
    })
})

type Tree = { [name: string]: unknown }
const nested = (path: string, value: object | null): Tree => path.split('.').reduceRight<Tree>((inner, name) => ({ [name]: inner }), value as Tree)
const isTree = (value: unknown): value is Tree => value !== null && typeof value === 'object' && !Array.isArray(value)
const deepMerge = (a: Tree, b: Tree): Tree => Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [name, isTree(a[name]) && isTree(b[name]) ? deepMerge(a[name], b[name]) : name in b ? b[name] : a[name]]))

describe('merge and patch in templates', { skip: !isBuilt('helm') && 'node test/cluster/tools/build.ts helm' }, () => {
  let chart: string
  before(() => {
    chart = mkdtempSync(join(tmpdir(), 'posthouse-patch-'))
    mkdirSync(join(chart, 'templates'))
    writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: cases\nversion: 1.0.0\n')
    cpSync(join(chartFolder, 'templates/_object.tpl'), join(chart, 'templates/_object.tpl'))
    writeFileSync(join(chart, 'templates/case.yaml'), '{{- define "body" }}{{ toYaml .It }}{{ end }}{{- range $n, $case := .Values.cases }}{{ include "posthouse.object" (list $ "body" (printf "cases.%d" $n) $case.it) }}{{ end }}')
  })
  after(() => rmSync(chart, { recursive: true, force: true }))

  // of RFC 6902 appendix A, and of what RFC 6901 says of ~0 and ~1
  const patches: readonly { readonly it: object; readonly patch: readonly object[]; readonly is: object | RegExp }[] = [
    { it: { foo: 'bar' }, patch: [{ op: 'add', path: '/baz', value: 'qux' }], is: { baz: 'qux', foo: 'bar' } },
    { it: { foo: ['bar', 'baz'] }, patch: [{ op: 'add', path: '/foo/1', value: 'qux' }], is: { foo: ['bar', 'qux', 'baz'] } },
    { it: { baz: 'qux', foo: 'bar' }, patch: [{ op: 'remove', path: '/baz' }], is: { foo: 'bar' } },
    { it: { foo: ['bar', 'qux', 'baz'] }, patch: [{ op: 'remove', path: '/foo/1' }], is: { foo: ['bar', 'baz'] } },
    { it: { baz: 'qux', foo: 'bar' }, patch: [{ op: 'replace', path: '/baz', value: 'boo' }], is: { baz: 'boo', foo: 'bar' } },
    { it: { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } }, patch: [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }], is: { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } } },
    { it: { foo: ['all', 'grass', 'cows', 'eat'] }, patch: [{ op: 'move', from: '/foo/1', path: '/foo/3' }], is: { foo: ['all', 'cows', 'eat', 'grass'] } },
    { it: { baz: 'qux', foo: ['a', 2, 'c'] }, patch: [{ op: 'test', path: '/baz', value: 'qux' }, { op: 'test', path: '/foo/1', value: 2 }], is: { baz: 'qux', foo: ['a', 2, 'c'] } },
    { it: { baz: 'qux' }, patch: [{ op: 'test', path: '/baz', value: 'bar' }], is: /\(test \/baz\): there is "qux"/ },
    { it: { foo: 'bar' }, patch: [{ op: 'add', path: '/child', value: { grandchild: {} } }], is: { foo: 'bar', child: { grandchild: {} } } },
    { it: { foo: 'bar' }, patch: [{ op: 'add', path: '/baz/bat', value: 'qux' }], is: /\(add \/baz\/bat\): there is no "baz", only foo/ },
    { it: { foo: ['bar'] }, patch: [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }], is: { foo: ['bar', ['abc', 'def']] } },
    { it: { foo: ['bar'] }, patch: [{ op: 'add', path: '/foo/2', value: 'x' }], is: /there is no place 2 in a list of 1/ },
    { it: { foo: ['bar'] }, patch: [{ op: 'replace', path: '/foo/-', value: 'x' }], is: /"-" is no place in a list of 1/ },
    { it: { foo: ['bar'] }, patch: [{ op: 'remove', path: '/foo/01' }], is: /"01" is no place in a list of 1/ },
    { it: { '/': 9, '~1': 10 }, patch: [{ op: 'replace', path: '/~01', value: 11 }, { op: 'replace', path: '/~1', value: 12 }], is: { '/': 12, '~1': 11 } },
    { it: { a: { b: [{ c: [1, 2] }] } }, patch: [{ op: 'add', path: '/a/b/0/c/0', value: 0 }, { op: 'copy', from: '/a/b/0', path: '/a/b/-' }, { op: 'remove', path: '/a/b/0/c/2' }], is: { a: { b: [{ c: [0, 1] }, { c: [0, 1, 2] }] } } },
    { it: { a: [['x'], ['y']] }, patch: [{ op: 'add', path: '/a/1/0', value: 'z' }], is: { a: [['x'], ['z', 'y']] } },
    { it: { a: 'text' }, patch: [{ op: 'add', path: '/a/b', value: 1 }], is: /"b" leads into "text", which has no parts/ },
    { it: { a: 1 }, patch: [{ op: 'replace', path: '/a', value: false }, { op: 'add', path: '/n', value: 0 }], is: { a: false, n: 0 } },
    { it: { a: 1 }, patch: [{ op: 'replace', path: '', value: { whole: true } }], is: { whole: true } },
  ]
  const good = patches.filter(({ is }) => !(is instanceof RegExp))
  it(`does ${good.length} patches as RFC 6902 says`, async () => {
    const { text, output, code } = await render({ cases: good.map(({ it, patch }) => ({ it, patch })) }, { chart })
    assert.equal(code, 0, output)
    assert.deepEqual(objectsIn(text), good.map(({ is }) => is))
  })
  for (const { it: given, patch, is } of patches)
    if (is instanceof RegExp)
      it(`refuses ${JSON.stringify(patch)} on ${JSON.stringify(given)}`, async () => {
        const { code, output } = await render({ cases: [{ it: given, patch }] }, { chart })
        assert.notEqual(code, 0)
        assert.match(output, is)
        assert.match(output, /cases\.0\.patch\[\d\]/)
      })

  it('merges 6 ways: maps deep, lists whole, 0 and false too, null removes', async () => {
    const cases = [
      { it: { a: { b: 1, c: 2 } }, merge: { a: { b: 3 } } },
      { it: { a: [1, 2] }, merge: { a: [3] } },
      { it: { a: 1, b: true }, merge: { a: 0, b: false } },
      { it: { a: { b: 1 } }, merge: { a: 'x' } },
      { it: { a: 'x' }, merge: { a: { b: 1 } } },
      { it: { a: 1, b: 2 }, merge: { a: null } },
    ]
    assert.deepEqual(objectsIn((await render({ cases }, { chart })).text), [{ a: { b: 3, c: 2 } }, { a: [3] }, { a: 0, b: false }, { a: 'x' }, { a: { b: 1 } }, { b: 2 }])
  })
})
