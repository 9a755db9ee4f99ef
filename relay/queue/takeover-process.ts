// For takeover.test.ts: a process that takes lanes of a queue, starts what is due there and never ends it.
import { createMetrics, silentLog } from '../report/index.ts'
import { deliverer, noNotices } from './fixtures.ts'
import { openQueue } from './open.ts'

const [name, pod, ...urls] = process.argv.slice(2)
const end = urls.indexOf('--')
const queue = await openQueue({
  servers: urls.slice(0, end), monitorUrls: urls.slice(end + 1), name: name!, pod: pod!, replicas: 3, bytesLimit: 1e9,
  revision: () => '', log: silentLog, metrics: createMetrics(), composeNotice: noNotices,
})
await queue.start(deliverer(() => new Promise(() => {})))
setInterval(() => process.send!({ lanes: queue.counts().lanesOwned, inFlight: queue.counts().inFlight }), 100)
process.on('disconnect', () => process.exit(0)) // the test is gone
