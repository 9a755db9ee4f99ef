// The dashboards, and where they lie in the chart.
import { join } from 'node:path'
import { delivery } from './delivery.ts'
import { nats } from './nats.ts'
import { operator } from './operator.ts'
import { grafanaOf, type Dashboard } from './panel.ts'
import { queue } from './queue.ts'
import { receive } from './receive.ts'

export const dashboards: Readonly<Record<string, Dashboard>> = { queue, receive, delivery, nats, operator }
export const folder = join(import.meta.dirname, '../posthouse/dashboards')
export const textOf = (dashboard: Dashboard): string => `${JSON.stringify(grafanaOf(dashboard), undefined, 1)}\n`
