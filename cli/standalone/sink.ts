// A receiving server for trying things: takes mail, remembers or prints it, and misbehaves where it is told to. Loopback by default.
import { createServer, type Server, type Socket } from 'node:net'
import type { SinkBehaviour, SinkMail, SinkOptions } from './sink-options.ts'
import { SinkSession } from './sink-session.ts'

export type { SinkBehaviour, SinkMail, SinkOptions, SinkPhase } from './sink-options.ts'

export type RunningSink = {
  readonly host: string
  readonly port: number
  readonly mails: readonly SinkMail[]
  /** Every command line of every session, as "3 MAIL FROM:<a@b>" with the session's number before it. */
  readonly commands: readonly string[]
  readonly faults: readonly string[] // commands pipelined where that was not offered, bad syntax
  count(): number
  connections(): number // so far
  open(): number
  behave(change: SinkBehaviour): void
  close(): Promise<void>
}

const mostCommands = 100_000

export const startSink = async (options: SinkOptions = {}): Promise<RunningSink> => {
  const host = options.host ?? '127.0.0.1'
  const sockets = new Set<Socket>()
  const state = { options, mails: [] as SinkMail[], commands: [] as string[], faults: [] as string[], count: 0, connections: 0 }
  const keep = options.keep ?? 10_000
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    new SinkSession(socket, ++state.connections, {
      options: () => state.options,
      onCommand: (line) => void (state.commands.length < mostCommands && keep > 0 && state.commands.push(line)),
      onFault: (fault) => void state.faults.push(fault),
      onMail: (mail) => {
        state.count++
        if (state.mails.length < keep) state.mails.push(mail)
        state.options.print?.(inOneLine(mail))
        state.options.onMail?.(mail)
      },
    }).start()
  })
  const port = await listen(server, host, options.port ?? 0)
  return {
    host, port, mails: state.mails, commands: state.commands, faults: state.faults,
    count: () => state.count,
    connections: () => state.connections,
    open: () => sockets.size,
    behave: (change) => void (state.options = { ...state.options, ...change }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

const listen = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve((server.address() as { port: number }).port))
  })

const inOneLine = ({ from, to, raw, isTls, faults }: SinkMail): string => {
  const subject = /^Subject:[ \t]*([^\r\n]*)/im.exec(raw.subarray(0, 16_384).toString('utf8').split('\r\n\r\n', 1)[0]!)?.[1] ?? '(no subject)'
  const more = to.length > 3 ? ` and ${to.length - 3} more` : ''
  return `arrived: ${from} → ${to.slice(0, 3).join(', ')}${more}  "${subject.replace(/\p{Cc}/gu, '?')}"  ${raw.length} bytes${isTls ? ', TLS' : ''}${faults.length > 0 ? `  FAULTS: ${faults.join(', ')}` : ''}`
}
