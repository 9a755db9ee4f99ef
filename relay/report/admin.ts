// The admin interface: JSON over a unix socket, mode 0600. Who may open the file may administer; nothing listens on a network.
import { chmodSync, rmSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { closed, listening } from './http.ts'

export class AdminError extends Error {
  readonly code: string
  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }
}

/** Calls by name: one JSON value in, one out. Throw AdminError for what a person did wrong. */
export type AdminCalls = Readonly<Record<string, (args: Record<string, unknown>) => Promise<unknown>>>

export const startAdmin = async (socketPath: string, calls: AdminCalls): Promise<{ close(): Promise<void> }> => {
  rmSync(socketPath, { force: true }) // left by a crash; a live owner is kept out by the folder's lock
  const server = createServer((incoming, response) => void answer(calls, incoming, response))
  await listening(server, () => server.listen(socketPath))
  chmodSync(socketPath, 0o600)
  return { close: () => closed(server) }
}

/** Throws AdminError: NOT_RUNNING where nobody answers, or the code the relay gave. */
export const askAdmin = (socketPath: string, call: string, args: Record<string, unknown> = {}): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path: `/${call}`, method: 'POST', headers: { 'content-type': 'application/json' } }, (response) => {
      collect(response).then((text) => {
        const { result, error } = JSON.parse(text) as { result?: unknown; error?: { code: string; text: string } }
        if (error) reject(new AdminError(error.code, error.text))
        else resolve(result)
      }, reject)
    })
    outgoing.once('error', (error: NodeJS.ErrnoException) =>
      reject(new AdminError('NOT_RUNNING', unanswered(socketPath, error))),
    )
    outgoing.end(JSON.stringify(args))
  })

const unanswered = (socketPath: string, { code, message }: NodeJS.ErrnoException): string =>
  code === 'EACCES' || code === 'EPERM'
    ? `${socketPath} may not be opened by this user (${code}): ask as the one who runs the relay`
    : `no relay answers at ${socketPath} (${code ?? message}): start one with npm start, or name its socket with --socket`

const answer = async (calls: AdminCalls, incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
  const reply = (status: number, body: object) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  try {
    const name = (incoming.url ?? '').slice(1)
    const call = Object.hasOwn(calls, name) ? calls[name] : undefined
    if (!call) throw new AdminError('UNKNOWN_CALL', `this relay knows no call ${name}; it knows ${Object.keys(calls).join(', ')}`)
    const text = await collect(incoming)
    reply(200, { result: (await call(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>))) ?? null })
  } catch (error) {
    const { code = 'FAILED', message } = error as Error & { code?: string }
    reply(400, { error: { code, text: message } })
  }
}

const collect = async (stream: IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString('utf8')
}
