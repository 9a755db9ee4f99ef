// Alerts and dashboards on a real Prometheus: promtool checks and tries the rules; then a relay with mail and an operator beside an API server are scraped,
// and every metric that a panel or an alert names is found, and every query answers.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { alertCases, type World } from '../../charts/alert-cases.ts'
import { alertRules, boards, queries, rulesFile } from '../../charts/monitoring.ts'
import { startTestDns, type TestDns } from '../tools/dns-server.ts'
import { exercise, exerciseManifests } from '../tools/exercise.ts'
import { startStandalone, type Standalone } from '../tools/relay-process.ts'
import { startSink, type Sink } from '../tools/sink.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { isBuilt } from './tools/build.ts'
import { renderObjects } from './tools/chart.ts'
import { startOperatorWorld, type OperatorWorld } from './tools/operator.ts'
import { promtool, startPrometheus, type Parsed, type Prometheus } from './tools/prometheus.ts'

const notBuilt = (['prometheus', 'helm'] as const).filter((name) => !isBuilt(name)).map((name) => `node test/cluster/tools/build.ts ${name}`)
const skip = notBuilt.length > 0 && notBuilt.join('; ')

describe('the rules, by promtool', { skip }, () => {
  let folder: string
  before(() => void (folder = mkdtempSync(join(tmpdir(), 'posthouse-rules-'))))
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('are sound, as they lie in the chart and as a PrometheusRule has them, with labels and runbooks of a user and 1 left out', async () => {
    assert.match(await promtool(['check', 'rules', '--lint=all', '--lint-fatal', rulesFile]), /SUCCESS/)
    const alerts = { enabled: true, disabled: ['PosthouseQueueSingleNode'], ruleLabels: { team: 'mail' }, runbooks: 'https://wiki.example/mail/' }
    const rule = (await renderObjects({ alerts })).find(({ kind }) => kind === 'PrometheusRule')!
    writeFileSync(join(folder, 'rendered.yaml'), JSON.stringify(rule.spec))
    assert.match(await promtool(['check', 'rules', join(folder, 'rendered.yaml')]), new RegExp(`${alertRules().length - 1} rules found`))
    const [first] = (rule.spec as { groups: { rules: { alert: string; labels: object; annotations: { runbook_url: string } }[] }[] }).groups[0]!.rules
    assert.deepEqual([first!.labels, first!.annotations.runbook_url], [{ severity: 'critical', team: 'mail' }, `https://wiki.example/mail/${first!.alert}.md`])
  })

  it('of 2 releases, of which 1 has no operator that acts and 1 has had no run for 20 minutes, fire for that one each, though the other is well', async () => {
    const files = await Promise.all(['one', 'two'].map(async (namespace) => {
      const rule = (await renderObjects({ alerts: { enabled: true } }, { namespace })).find(({ kind }) => kind === 'PrometheusRule')!
      const { groups } = rule.spec as { groups: { name: string }[] }
      const file = join(folder, `${namespace}.yaml`)
      writeFileSync(file, JSON.stringify({ groups: groups.filter(({ name }) => name === 'posthouse-operator') }))
      return file
    }))
    const of = (metric: string, namespace: string): string => `posthouse_operator_${metric}{lease="${namespace}/posthouse-operator",pod="a"}`
    const series = { [of('leader', 'one')]: '1x60', [of('leader', 'two')]: '0x60', [of('last_reconcile_timestamp_seconds', 'one')]: '30x60', [of('last_reconcile_timestamp_seconds', 'two')]: '0+60x60' }
    const alerts = [['PosthouseOperatorAway', 'two'], ['PosthouseOperatorNotReconciling', 'one']].map(([alert, namespace]) => {
      const labels = `ALERTS{alertname="${alert!}",alertstate="firing",severity="warning",lease="${namespace!}/posthouse-operator"}`
      return worldTest(alert!, 'of 2 releases', { at: '20m', series }, [{ labels, value: 1 }]).test
    })
    const file = join(folder, 'releases.yaml')
    writeFileSync(file, JSON.stringify({ rule_files: files, evaluation_interval: '1m', tests: alerts }))
    assert.match(await promtool(['test', 'rules', file]), /SUCCESS/)
  })

  it('lie in the chart beside 5 dashboards, each a ConfigMap with the label of the sidecar and the file as it is, where and as a user says', async () => {
    const maps = (await renderObjects({ dashboards: { enabled: true } })).filter(({ kind }) => kind === 'ConfigMap')
    assert.deepEqual(new Set(maps.map(({ data }) => Object.values(data as Record<string, string>)[0])), new Set(boards().map(({ text }) => text)))
    assert.equal(maps.length, 5)
    for (const { metadata } of maps) assert.deepEqual([metadata.namespace, metadata.labels?.grafana_dashboard], ['posthouse', '1'])
    const elsewhere = await renderObjects({ dashboards: { enabled: true, namespace: 'grafana', labels: { folder: 'mail' } } })
    for (const { metadata } of elsewhere.filter(({ kind }) => kind === 'ConfigMap')) assert.deepEqual([metadata.namespace, metadata.labels?.folder], ['grafana', 'mail'])
    assert.deepEqual((await renderObjects({})).filter(({ kind }) => ['ConfigMap', 'PrometheusRule'].includes(kind!)), [])
    await assert.rejects(renderObjects({ alerts: { enabled: true, disabled: ['PosthouseNone'] } }), /there is no alert PosthouseNone/)
  })

  it('fire where they should and not where they should not: 2 worlds or more for each alert', async () => {
    const tests = alertRules().flatMap(({ alert, labels: { severity } }) => {
      const { fires, alsoFires, quiet, labels } = alertCases[alert]!
      const firing = `ALERTS{alertname="${alert}",alertstate="firing",severity="${severity}"${labels === '' ? '' : `,${labels}`}}`
      const told = [{ labels: firing, value: 1 }]
      return [worldTest(alert, 'fires', fires, told), ...(alsoFires ? [worldTest(alert, 'also fires', alsoFires, told)] : []), worldTest(alert, 'is quiet', quiet, [])]
    })
    // all rules are evaluated at each step: where hours go by, steps of 5 minutes are enough
    for (const [step, some] of Map.groupBy(tests, ({ at }) => (at.endsWith('h') ? '5m' : '1m'))) {
      const file = join(folder, `tests-${step}.yaml`)
      writeFileSync(file, JSON.stringify({ rule_files: [rulesFile], evaluation_interval: step, tests: some.map(({ test }) => test) }))
      assert.match(await promtool(['test', 'rules', file]), /SUCCESS/)
    }
  })
})

const worldTest = (alert: string, name: string, { series, at }: World, exp_samples: readonly object[]): { readonly at: string; readonly test: object } => ({
  at,
  test: {
    name: `${alert} ${name}`,
    interval: '1m',
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    promql_expr_test: [{ expr: `ALERTS{alertname="${alert}",alertstate="firing"}`, eval_time: at, exp_samples }],
  },
})

const lacks = [...notBuilt, ...apiServerLacks()]
describe('a Prometheus that scrapes a relay and an operator', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-watching-'))
  const world = {} as { dns: TestDns; sink: Sink; relay: Standalone; operator: OperatorWorld; prometheus: Prometheus }

  before(async () => {
    world.dns = await startTestDns()
    world.sink = await startSink()
    mkdirSync(join(folder, 'manifests'))
    writeFileSync(join(folder, 'manifests', 'all.yaml'), exerciseManifests(world.sink.port, world.dns.nameserver))
    world.relay = await startStandalone({ folder, manifests: join(folder, 'manifests') })
    world.operator = await startOperatorWorld(['mail'], { http: { host: '127.0.0.1', port: 0 } })
    const pages = { relay: `127.0.0.1:${world.relay.httpPort}`, operator: `127.0.0.1:${world.operator.operator.httpPort}` }
    world.prometheus = await startPrometheus({ folder, pages, rules: rulesFile })
    await until('both pages', async () => (await world.prometheus.up()) === 2, 60_000)
    await live(world)
  })
  after(async () => {
    await world.prometheus?.stop()
    await world.operator?.stop()
    await world.relay?.stop()
    await world.sink?.close()
    await world.dns?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('gets pages in which promtool finds 0 faults of naming', async () => {
    for (const port of [world.relay.httpPort, world.operator.operator.httpPort]) {
      const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const ours = page.split('\n').filter((line) => /^(# (HELP|TYPE) )?posthouse_/.test(line))
      assert.ok(ours.length > 40)
      await promtool(['check', 'metrics'], `${ours.join('\n')}\n`)
    }
  })

  it('has each metric that a panel or an alert names, at least 40', async () => {
    const named = new Map<string, string>()
    for (const { where, expr } of queries()) for (const metric of metricsIn(await world.prometheus.parse(expr))) named.set(metric, named.get(metric) ?? where)
    assert.ok(named.size > 40)
    const lacking = async (): Promise<string[]> => {
      const found = await Promise.all([...named].map(async ([metric, where]) => ((await world.prometheus.query(metric)).length > 0 ? [] : [`${metric} (${where})`])))
      return found.flat()
    }
    await until('every metric', async () => (await lacking()).length === 0, 90_000, 1000).catch(async () => assert.deepEqual(await lacking(), []))
  })

  it('answers each panel with at least 1 line', async () => {
    const panels = queries().filter(({ where }) => where.startsWith('dashboard'))
    const empty = async (): Promise<string[]> => (await Promise.all(panels.map(async ({ where, expr }) => ((await world.prometheus.query(expr)).length > 0 ? [] : [where])))).flat()
    await until('a line for every panel', async () => (await empty()).length === 0, 90_000, 1000).catch(async () => assert.deepEqual(await empty(), []))
  })

  it('evaluates each alert without a fault, and none of those on the relay fires, which is well', async () => {
    await until('every rule', async () => (await world.prometheus.rules()).every(({ health }) => health === 'ok'), 60_000).catch(async () => assert.deepEqual((await world.prometheus.rules()).filter(({ health }) => health !== 'ok'), []))
    // the operator's relay has no node to run on: that its pods are missing is what an alert should say
    const firing = (await world.prometheus.query('ALERTS{alertname!~"PosthouseNoPodReady|PosthousePods.*|PosthouseManifestRefused|PosthouseRecordsMissing"}')).map(({ metric }) => metric.alertname)
    assert.deepEqual(firing, [])
  })
})

/** Mail that is delivered, refused, warned of, put off and returned; objects that are in force, and one that is not. */
const live = async ({ relay, operator }: { readonly relay: Standalone; readonly operator: OperatorWorld }): Promise<void> => {
  // on a slow machine a mail may be put off before it was tried at all
  const tried = async (): Promise<boolean> => (await (await fetch(`http://127.0.0.1:${relay.httpPort}/metrics`)).text()).includes('posthouse_dns_lookup_seconds_count')
  await exercise(relay, () => until('an attempt for it', tried, 120_000))
  await operator.save('MailRelay', 'main', { hostname: 'mx.example' })
  await operator.save('MailDomain', 'first', { domain: 'browncow.example' })
  await operator.save('MailDomain', 'second', { domain: 'browncow.example' })
}

/** The name of every series that an expression asks for. */
const metricsIn = (node: Parsed): string[] => {
  const children = Object.values(node).flatMap((value) => (value !== null && typeof value === 'object' ? (Array.isArray(value) ? value : [value]) : [])) as Parsed[]
  const inside = children.filter((child) => typeof child.type === 'string' && child !== node).flatMap(metricsIn)
  return typeof node.name === 'string' && (node.type === 'vectorSelector' || node.type === 'matrixSelector') ? [node.name, ...inside] : inside
}
