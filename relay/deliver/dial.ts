// A TCP connection to one address, or why there is none. Touches one socket.
import { connect as connectTcp, type Socket } from 'node:net'
import type { Silent } from './failover.ts'
import type { Settings } from './settings.ts'
import { wordsOf } from './socket-words.ts'
import type { Target } from './target.ts'

export const dial = (target: Target, { settings, signal }: { readonly settings: Settings; readonly signal?: AbortSignal }): Promise<Socket | Silent> =>
  new Promise((resolve) => {
    const socket = connectTcp({ host: target.address, port: target.port, noDelay: true })
    const fail = (how: Silent['how'], text: string): void => {
      socket.on('error', () => {})
      socket.destroy()
      settle({ kind: 'silent', at: 'CONNECT', how, host: target.host, address: target.address, text, reused: false, dotWritten: false })
    }
    const timer = setTimeout(() => fail('timeout', 'no connection in time'), settings.timeouts.connect)
    const onAbort = (): void => fail('aborted', 'the attempt was called off')
    const onError = (error: NodeJS.ErrnoException): void => fail(howOf(error.code ?? ''), wordsOf(error))
    const settle = (result: Socket | Silent): void => {
      clearTimeout(timer)
      socket.off('error', onError)
      signal?.removeEventListener('abort', onAbort)
      resolve(result)
    }
    socket.once('error', onError)
    socket.once('connect', () => settle(socket))
    if (signal?.aborted === true) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })

/** Without a packet sent: no route, no address of our own to come from, a family that this machine does not know. */
const noWay: ReadonlySet<string> = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

const howOf = (code: string): Silent['how'] => (noWay.has(code) ? 'no-way' : code === 'ECONNREFUSED' ? 'refused' : 'lost')
