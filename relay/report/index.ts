export { AdminError, type AdminCalls, askAdmin, startAdmin } from './admin.ts'
export { type Readiness, startHttp } from './http.ts'
export { createLog, silentLog, logCodes, type Log, type LogCode } from './log.ts'
export { createMetrics, type Metrics } from './metrics.ts'
