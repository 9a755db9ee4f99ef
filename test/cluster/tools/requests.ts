// What was asked of an API server, by its own count. Leases apart: they are renewed for ever, by us and by itself.
import { request } from 'node:https'
import type { ApiServer } from './api-server.ts'

export type Requests = { readonly reads: number; readonly writes: number; /** How often each thing was written since the server began, as "APPLY maildomains/status 200". */ readonly written: ReadonlyMap<string, number> }

const writing = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION'])

export const requestsOf = async (api: ApiServer): Promise<Requests> => {
  const counts = (await metricsOf(api)).split('\n').flatMap((line) => {
    const [, labels, count] = /^apiserver_request_total\{(.*)\} (\S+)$/.exec(line) ?? []
    return labels === undefined || ['leases', ''].includes(labelOf(labels, 'resource')) ? [] : [{ labels, verb: labelOf(labels, 'verb'), count: Number(count) }]
  })
  const writes = counts.filter(({ verb }) => writing.has(verb))
  const sum = (of: readonly { readonly count: number }[]): number => of.reduce((total, { count }) => total + count, 0)
  return { reads: sum(counts) - sum(writes), writes: sum(writes), written: totals(writes.map(({ labels, verb, count }) => [`${verb} ${resourceIn(labels)} ${labelOf(labels, 'code')}`, count])) }
}

/** What was written between two looks. */
export const writtenBetween = (before: Requests, after: Requests): readonly string[] =>
  [...after.written].flatMap(([what, count]) => (count > (before.written.get(what) ?? 0) ? [`${what}: ${count - (before.written.get(what) ?? 0)}`] : []))

const totals = (counts: readonly (readonly [string, number])[]): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const [what, count] of counts) found.set(what, (found.get(what) ?? 0) + count)
  return found
}

const resourceIn = (labels: string): string => [labelOf(labels, 'resource'), labelOf(labels, 'subresource')].filter((part) => part !== '').join('/')

const labelOf = (labels: string, name: string): string => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels)?.[1] ?? ''

const metricsOf = ({ url, ca, token }: ApiServer): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request(`${url}/metrics`, { ca, headers: { authorization: `Bearer ${token}` }, agent: false, timeout: 10_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => void (text += String(piece))).once('end', () => resolve(text)).once('error', reject)
    })
    asked.once('timeout', () => asked.destroy(new Error('no answer in 10 s')))
    asked.once('error', reject)
    asked.end()
  })
