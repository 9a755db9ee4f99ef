// What a relay pod says of itself (relay/report/http.ts, /status), checked and bounded: who wears the labels of a relay may be anybody, and the operator is everybody's.
import { isIP } from 'node:net'
import { z } from 'zod'
import type { ObservedPod } from './plan/index.ts'

export type Answer = Pick<ObservedPod, 'revision' | 'durable' | 'why' | 'routes' | 'closing' | 'remains' | 'clients' | 'gateways' | 'invalid' | 'servers'>

const mostBytes = 2 * 1024 * 1024

const words = z.string().transform((text) => text.slice(0, 1_000))
const names = z.array(z.string().max(255)).max(1_000)
const count = z.number().min(0)

const answer = z.object({
  revision: z.string().max(64),
  durable: z.object({ ok: z.boolean(), reason: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,99}$/), text: words }),
  routes: z.array(z.object({ route: words, reached: z.boolean(), why: words.optional() })).max(1_000).default([]),
  servers: z.array(z.object({ name: z.string().max(255), up: z.boolean(), stuck: z.boolean() })).max(100).optional(),
  closing: z.boolean().optional(),
  remains: z.object({ ready: count, deferred: count, held: count, empty: z.boolean() }).nullish(),
  clients: z.record(z.string().max(63), names).optional(),
  gateways: z.array(z.string().refine((text) => isIP(text) !== 0)).max(1_000).default([]),
  invalid: names.default([]),
})

/** Rejects where it is none. */
export const readAnswer = async (response: Response): Promise<Answer> => {
  const read = answer.safeParse(JSON.parse(await textOf(response)))
  if (!read.success) throw new Error(`its status is not understood: ${read.error.issues[0]?.path.join('.')}`)
  const { revision, durable, routes, servers, closing, remains, clients, gateways, invalid } = read.data
  const known = routes.map(({ route, reached, why }) => ({ route, reached, ...(why !== undefined && { why }) }))
  return { revision, durable, routes: known, ...(servers && { servers }), ...(closing === true && { closing }), ...(remains && { remains }), ...(clients && { clients }), gateways, invalid }
}

const textOf = async ({ body }: Response): Promise<string> => {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body ?? []) {
    bytes += piece.length
    if (bytes > mostBytes) throw new Error(`its status is longer than ${mostBytes} octets`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}
