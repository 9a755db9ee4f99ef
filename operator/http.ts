// Health and metrics of the operator, read-only. /healthz: the process turns. /readyz: it leads and has seen everything, or waits for its turn to lead.
import { createServer } from 'node:http'
import type { OperatorMetrics } from './metrics.ts'

export type HttpOptions = {
  readonly host: string
  readonly port: number
  readonly metrics: OperatorMetrics
  readonly ready: () => boolean
  readonly beforeScrape: () => void // figures that are read, not counted
}

type Page = readonly [status: number, type: string, body: string]

/** Rejects when the address cannot be opened. */
export const serveHttp = async ({ host, port, metrics: { registry }, ready, beforeScrape }: HttpOptions): Promise<{ readonly port: number; close(): Promise<void> }> => {
  const pages: Readonly<Record<string, () => Page | Promise<Page>>> = {
    '/healthz': () => [200, 'text/plain', 'ok\n'],
    '/readyz': () => (ready() ? [200, 'text/plain', 'ok\n'] : [503, 'text/plain', 'reading the cluster\n']),
    '/metrics': async () => (beforeScrape(), [200, registry.contentType, await registry.metrics()]),
  }
  const answer = async (path: string): Promise<Page> => (await pages[path]?.()) ?? [404, 'text/plain', `here are ${Object.keys(pages).join(', ')}\n`]
  const server = createServer((request, response) => {
    answer((request.url ?? '').split('?')[0]!).then(
      ([status, type, body]) => response.writeHead(status, { 'content-type': type }).end(body),
      (error: Error) => response.writeHead(500).end(`${error.message}\n`),
    )
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    port: (server.address() as { port: number }).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
