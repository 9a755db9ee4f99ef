// Takes the PROXY header off a trusted proxy's connection, within its time, and leaves what follows to the session.
import type { Socket } from 'node:net'
import { readProxyHeader } from './proxy-header.ts'

export type ProxiedClient = { readonly remoteAddress?: string; readonly remotePort?: number }

export class ProxyHeaderError extends Error {
  readonly code = 'PROXY_HEADER_BAD'
  /** It left without a word. */
  readonly wasSilent: boolean
  constructor(why: string, wasSilent: boolean) {
    super(why)
    this.wasSilent = wasSilent
  }
}

/** Empty where the proxy speaks for itself. Rejects when the header is bad, cut short or late. */
export const readProxy = (socket: Socket, ms: number): Promise<ProxiedClient> =>
  new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    const from = socket.remoteAddress // a closed socket has none
    const fail = (why: string, wasSilent = false) => finish(() => reject(new ProxyHeaderError(`PROXY header from ${from}: ${why}`, wasSilent)))
    const timer = setTimeout(() => fail(`not there after ${ms / 1000} s`), ms)
    const onData = (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece])
      const header = readProxyHeader(bytes)
      if (header.kind === 'bad') return fail(header.why)
      if (header.kind === 'more') return
      finish(() => resolve(header.kind === 'client' ? { remoteAddress: header.address, remotePort: header.port } : {}))
      if (header.used < bytes.length) socket.unshift(bytes.subarray(header.used))
    }
    const onEnd = () => fail('the connection ended before it', bytes.length === 0)
    const finish = (then: () => void) => {
      clearTimeout(timer)
      socket.off('data', onData).off('end', onEnd).off('close', onEnd)
      socket.pause()
      then()
    }
    socket.on('data', onData).on('end', onEnd).on('close', onEnd)
    socket.on('error', () => {}) // its close tells the rest
  })
