// Alerts and dashboards against the code: what they name exists, and each alert has its runbook and its cases. Whether they fire is promtool's to say (test/cluster).
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createOperatorMetrics } from '../operator/metrics.ts'
import { createMetrics } from '../relay/report/index.ts'
import { alertCases } from './alert-cases.ts'
import { dashboards, textOf } from './dashboards/index.ts'
import { alertRules, boards, queries } from './monitoring.ts'

const runbooks = join(import.meta.dirname, '../docs/runbooks')
const page = (alert: string): string => readFileSync(join(runbooks, `${alert}.md`), 'utf8')
const names = alertRules().map(({ alert }) => alert)

/** Label names by series as Prometheus sees them: a histogram is three. */
const known = async (): Promise<Map<string, string[]>> => {
  const series = new Map<string, string[]>()
  for (const [registry, more] of [[createMetrics('a/b').registry, ['relay']], [createOperatorMetrics('a/b').registry, ['lease']]] as const)
    for (const metric of registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[]; constructor: { name: string } }[]) {
      const labels = [...metric.labelNames, ...more]
      const isHistogram = metric.constructor.name === 'Histogram'
      for (const suffix of isHistogram ? ['_bucket', '_count', '_sum'] : ['']) series.set(metric.name + suffix, suffix === '_bucket' ? [...labels, 'le'] : labels)
    }
  return series
}

describe('the alerts', () => {
  it('are at least 20, each under a name of its own', () => {
    assert.ok(names.length >= 20)
    assert.equal(new Set(names).size, names.length)
  })
  for (const { alert, labels, annotations } of alertRules())
    it(`${alert} has a severity, a summary, a description and a runbook of 5 sections`, () => {
      assert.ok(['critical', 'warning', 'info'].includes(labels.severity!), labels.severity)
      assert.ok(annotations.summary!.length > 10 && annotations.description!.length > 20)
      assert.equal(annotations.runbook_url!.split('/').at(-1), `${alert}.md`)
      const text = page(alert)
      assert.match(text, new RegExp(`^# ${alert}\\n\\nSeverity: ${labels.severity!}\\.`))
      assert.deepEqual([...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title), ['What it means', 'Who is hit', 'Look at', 'What to do', 'Harmless when'])
      assert.match(text, /```sh\nkubectl /)
    })
  it('have no runbook without an alert, and the list of runbooks names each once', () => {
    assert.deepEqual(readdirSync(runbooks).filter((file) => file !== 'README.md').sort(), names.map((name) => `${name}.md`).sort())
    assert.deepEqual([...readFileSync(join(runbooks, 'README.md'), 'utf8').matchAll(/^\| \[(\w+)\]/gm)].map(([, name]) => name), names)
  })
  it('have runbooks whose links lead somewhere and whose commands of kubectl posthouse exist', () => {
    const commands = new Set(['status', 'queue', 'why', 'trace', 'can-send', 'probe', 'talk', 'check'])
    for (const name of names) {
      for (const [, link] of page(name).matchAll(/\]\(([^)]+)\)/g)) assert.ok(existsSync(join(runbooks, link!)), `${name}: ${link}`)
      for (const [, command] of page(name).matchAll(/kubectl posthouse -n \S+ (\S+)/g)) assert.ok(commands.has(command!), `${name}: ${command}`)
    }
  })
  it('have runbooks that look for a line in the whole log: a busy relay writes 200 others within seconds, and some are written once', () => {
    const searches = names.flatMap((name) => [...page(name).matchAll(/^kubectl logs .*\| grep .*$/gm)].map(([line]) => `${name}: ${line}`))
    assert.ok(searches.length >= 9)
    assert.deepEqual(searches.filter((line) => !line.includes(' --tail=-1 |')), [])
  })
  it('have 2 cases each: one in which it fires, and one in which it does not', () => assert.deepEqual(Object.keys(alertCases).sort(), names.toSorted()))
})

describe('the dashboards', () => {
  it('are in the chart as charts/dashboards says (npm run dashboards)', () => {
    for (const { name, text } of boards()) assert.equal(text, textOf(dashboards[name]!), name)
  })
  for (const { name, uid, panels, templating } of boards())
    it(`${name}: each panel has a title, a description, a unit and a query with a legend; none lies on another`, () => {
      assert.match(uid, /^posthouse-[a-z]{1,20}$/)
      assert.equal(templating.list[0]!.type, 'datasource')
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
      for (const { type, title, description = '', targets = [], fieldConfig } of panels.filter((panel) => panel.type !== 'row')) {
        assert.ok(title !== '' && description.length > 10 && fieldConfig!.defaults.unit !== undefined && targets.length > 0, `${type} ${title}`)
        for (const { legendFormat } of targets) assert.notEqual(legendFormat, '', title)
      }
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`))
      assert.equal(new Set(cells).size, cells.length)
      assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
    })
})

it('1 message in 20 that waits more than 2 s is counted and not guessed: the threshold of PosthouseAcceptSlow is a bound of its histogram', async () => {
  const threshold = Number(/> (\d+)$/.exec(alertRules().find(({ alert }) => alert === 'PosthouseAcceptSlow')!.expr)![1])
  const { acceptSeconds } = createMetrics()
  acceptSeconds.observe(0)
  const bounds = (await acceptSeconds.get()).values.map(({ labels }) => labels.le)
  assert.ok(bounds.includes(threshold), bounds.join(', '))
})

it('what is counted as gone out of the queue, in 1 panel and 1 alert, are the 4 outcomes that end: mail on hold lies there still', () => {
  const selected = queries().filter(({ where }) => /In and out|PosthouseBounces/.test(where)).flatMap(({ expr }) => [...expr.matchAll(/delivery_attempts_total\{[^}]*?outcome(=~|!=|=|!~)"([^"]*)"/g)])
  const outcomes = new Set(selected.flatMap(([, operator, names]) => (operator === '=~' ? names!.split('|') : [`${operator}${names}`])))
  assert.deepEqual([...outcomes].sort(), ['delivered', 'expired', 'refused', 'unroutable'])
})

it('no alert and no panel names a metric or a label that no program has, and every row of docs/metrics.md that an alert rests on is there', async () => {
  const series = await known()
  const targetLabels = ['instance', 'job', 'pod', 'namespace']
  for (const { where, expr } of queries()) {
    const named = [...expr.matchAll(/\b(posthouse_[a-z_]+)(?:\{([^}]*)\})?/g)]
    assert.ok(named.length > 0, where)
    for (const [, metric, selector = ''] of named) {
      const labels = series.get(metric!)
      assert.ok(labels !== undefined, `${where}: no metric ${metric}`)
      for (const [, label] of selector.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)) assert.ok([...labels, ...targetLabels].includes(label!), `${where}: ${metric} has no label ${label}`)
    }
  }
})
