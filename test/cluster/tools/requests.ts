// What was asked of an API server, by its own count. Leases apart: they are renewed for ever, by us and by itself.
import { request } from 'node:https'
import type { ApiServer } from './api-server.ts'

export type Requests = { readonly reads: number; readonly writes: number }

const writing = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION'])

export const requestsOf = async (api: ApiServer): Promise<Requests> => {
  const counts = (await metricsOf(api)).split('\n').flatMap((line) => {
    const found = /^apiserver_request_total\{(.*)\} (\S+)$/.exec(line)
    return found ? [{ labels: found[1]!, count: Number(found[2]) }] : []
  })
  const sum = (isWanted: (verb: string) => boolean): number =>
    counts.filter(({ labels }) => labelOf(labels, 'resource') !== 'leases' && labelOf(labels, 'resource') !== '' && isWanted(labelOf(labels, 'verb'))).reduce((total, { count }) => total + count, 0)
  return { reads: sum((verb) => !writing.has(verb)), writes: sum((verb) => writing.has(verb)) }
}

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
