// Metrics and health, read-only: /metrics, /healthz (the process turns), /readyz (it may be sent mail, and why not), /status (the same and its snapshot, for the operator).
import { createServer, type Server } from 'node:http'
import type { Metrics } from './metrics.ts'

export type Readiness = { readonly ready: boolean; readonly reason: string }
export type HttpOptions = {
  readonly host: string
  readonly port: number
  readonly metrics: Metrics
  readonly readiness: () => Readiness
  readonly beforeScrape: () => void // gauges that are read, not counted
  readonly status: () => Promise<object>
}

/** Rejects when the address cannot be opened. */
export const startHttp = async ({ host, port, metrics, readiness, beforeScrape, status }: HttpOptions): Promise<{ port: number; close(): Promise<void> }> => {
  const pages: Record<string, () => Promise<[status: number, type: string, body: string]>> = {
    '/metrics': async () => (beforeScrape(), [200, metrics.registry.contentType, await metrics.registry.metrics()]),
    '/healthz': async () => [200, 'text/plain', 'ok\n'],
    '/status': async () => [200, 'application/json', `${JSON.stringify(await status())}\n`],
    '/readyz': async () => {
      const { ready, reason } = readiness()
      return [ready ? 200 : 503, 'text/plain', `${reason}\n`]
    },
  }
  const server = createServer((request, response) => {
    const page = pages[(request.url ?? '').split('?')[0]!]
    if ((request.method !== 'GET' && request.method !== 'HEAD') || !page) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`here are ${Object.keys(pages).join(', ')}\n`)
      return
    }
    page().then(
      ([status, type, body]) => response.writeHead(status, { 'content-type': type }).end(body),
      (error: Error) => response.writeHead(500).end(`${error.message}\n`),
    )
  })
  keepFew(server)
  await listening(server, () => server.listen(port, host))
  return { port: (server.address() as { port: number }).port, close: () => closed(server) }
}

/** Prometheus, the operator and the kubelet have one or two each. */
const mostPerAddress = 50

/** Anybody in the cluster may reach the port: who opens connections without end must not take the memory and the probes of all. */
const keepFew = (server: Server): void => {
  const open = new Map<string, number>()
  server.on('connection', (socket) => {
    const from = socket.remoteAddress ?? ''
    const count = (open.get(from) ?? 0) + 1
    if (count > mostPerAddress) return void socket.destroy()
    open.set(from, count)
    socket.once('close', () => {
      const left = open.get(from)! - 1
      if (left === 0) open.delete(from)
      else open.set(from, left)
    })
  })
}

export const listening = (server: Server, listen: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => (server.off('error', reject), resolve()))
    listen()
  })

export const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
