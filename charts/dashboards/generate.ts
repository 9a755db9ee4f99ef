// `npm run dashboards`: writes the chart's Grafana dashboards from the files beside this one. Touches only charts/posthouse/dashboards.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dashboards, folder, textOf } from './index.ts'

mkdirSync(folder, { recursive: true })
for (const [name, dashboard] of Object.entries(dashboards)) writeFileSync(join(folder, `${name}.json`), textOf(dashboard))
