// A Grafana dashboard from what a person thinks of: rows of panels, each with one question, its unit and its queries. Pure.

type Query = readonly [expr: string, legend: string]
type Panel = {
  readonly title: string
  /** What it shows and what to make of it: Grafana's little i. */
  readonly about: string
  readonly unit: 'short' | 's' | 'bytes' | 'reqps' | 'percentunit' | 'none'
  readonly queries: readonly Query[]
  /** One figure, as of now; its colour changes at the values given. */
  readonly figure?: { readonly good: 'low' | 'high'; readonly warn: number; readonly bad: number }
  readonly stacked?: true
}
type Row = { readonly title: string; readonly panels: readonly Panel[] }
/** `relays`: chosen by the variable $relay. */
export type Dashboard = { readonly uid: string; readonly title: string; readonly about: string; readonly relays: boolean; readonly rows: readonly Row[] }

const source = { type: 'prometheus', uid: '${datasource}' }
const [width, figureWidth, height, figureHeight] = [12, 6, 8, 4]

export const grafanaOf = ({ uid, title, about, relays, rows }: Dashboard): object => ({
  uid,
  title,
  description: about,
  tags: ['posthouse'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  graphTooltip: 1, // one cross-hair through all panels
  refresh: '30s',
  time: { from: 'now-6h', to: 'now' },
  timezone: 'browser',
  links: [{ type: 'dashboards', tags: ['posthouse'], title: 'Posthouse', asDropdown: true, includeVars: true, keepTime: true }],
  templating: { list: [dataSource, ...(relays ? [relayVariable] : [])] },
  annotations: { list: [] },
  panels: laidOut(rows),
})

const dataSource = { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0, refresh: 1 }
const relayVariable = {
  name: 'relay', label: 'MailRelay', type: 'query', datasource: source, query: { query: 'label_values(posthouse_queue_up, relay)', refId: 'relay' }, definition: 'label_values(posthouse_queue_up, relay)',
  includeAll: true, allValue: '.*', multi: true, current: { text: ['All'], value: ['$__all'] }, refresh: 2, sort: 1, hide: 0,
}

const laidOut = (rows: readonly Row[]): object[] => {
  const panels: object[] = []
  let y = 0
  for (const { title, panels: wanted } of rows) {
    panels.push({ id: panels.length + 1, type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } })
    y += 1
    let x = 0
    let lineHeight = 0
    for (const panel of wanted) {
      const [w, h] = panel.figure ? [figureWidth, figureHeight] : [width, height]
      if (x + w > 24) [x, y, lineHeight] = [0, y + lineHeight, 0]
      panels.push({ id: panels.length + 1, ...drawn(panel), gridPos: { x, y, w, h } })
      x += w
      lineHeight = Math.max(lineHeight, h)
    }
    y += lineHeight
  }
  return panels
}

const drawn = (panel: Panel): object => {
  const { title, about, unit, queries, figure } = panel
  const targets = queries.map(([expr, legend], n) => ({ refId: String.fromCharCode(65 + n), datasource: source, expr, legendFormat: legend, ...(figure ? { instant: true } : { range: true }), editorMode: 'code' }))
  return { title, description: about, datasource: source, targets, ...(figure ? stat(unit, figure) : lines(panel)) }
}

const stat = (unit: string, { good, warn, bad }: NonNullable<Panel['figure']>): object => {
  const [first, last] = good === 'low' ? ['green', 'red'] : ['red', 'green']
  const [low, high] = good === 'low' ? [warn, bad] : [bad, warn]
  const steps = [{ color: first, value: null }, { color: 'orange', value: low }, { color: last, value: high }]
  return {
    type: 'stat',
    fieldConfig: { defaults: { unit, thresholds: { mode: 'absolute', steps }, color: { mode: 'thresholds' }, noValue: 'no data' }, overrides: [] },
    options: { colorMode: 'value', graphMode: 'none', justifyMode: 'auto', textMode: 'auto', reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false } },
  }
}

const lines = ({ unit, stacked }: Panel): object => ({
  type: 'timeseries',
  fieldConfig: { defaults: { unit, min: 0, color: { mode: 'palette-classic' }, custom: { drawStyle: 'line', lineWidth: 1, fillOpacity: stacked ? 25 : 8, showPoints: 'never', spanNulls: false, stacking: { mode: stacked ? 'normal' : 'none', group: 'A' } } }, overrides: [] },
  options: { legend: { displayMode: 'table', placement: 'bottom', showLegend: true, calcs: ['lastNotNull', 'max'] }, tooltip: { mode: 'multi', sort: 'desc' } },
})
