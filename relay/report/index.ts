export { createLog, silentLog, logCodes, type Log, type LogCode } from './log.ts'
export { createMetrics, type Metrics } from './metrics.ts'
