// What the chart tells Prometheus and Grafana, read back from its files: rules, panels, and the metrics each of them names. Reads files only.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { dashboards, folder } from './dashboards/index.ts'

export const rulesFile = join(import.meta.dirname, 'posthouse/alerts/posthouse.yaml')

export type Rule = { readonly alert: string; readonly expr: string; readonly for?: string; readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> }
export const alertRules = (): Rule[] => (parse(readFileSync(rulesFile, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules)

export type Drawn = {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
}
export type Board = { readonly name: string; readonly text: string; readonly uid: string; readonly panels: readonly Drawn[]; readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] } }

export const boards = (): Board[] =>
  Object.keys(dashboards).map((name) => {
    const text = readFileSync(join(folder, `${name}.json`), 'utf8')
    return { ...(JSON.parse(text) as Omit<Board, 'name' | 'text'>), name, text }
  })

/** Every query with where it stands; Grafana's variables filled in as it would. */
export const queries = (): { readonly where: string; readonly expr: string }[] => [
  ...alertRules().map(({ alert, expr }) => ({ where: `alert ${alert}`, expr })),
  ...boards().flatMap(({ name, panels }) => panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: `dashboard ${name}, ${title}`, expr: filledIn(expr) })))),
]

const filledIn = (expr: string): string => expr.replaceAll('$__rate_interval', '1m').replaceAll('$relay', '.*')
