// One question to one name server: UDP, and TCP where UDP was truncated. Touches sockets; decides nothing.
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { encodeQuestion, readPacket, type Question, type Reading } from './dns-wire.ts'

export type NameServer = { readonly address: string; readonly port: number }
export type Asked = Extract<Reading, { kind: 'answer' | 'failed' }>

export type Patience = { readonly ms: number; readonly signal: AbortSignal }

/** Never throws, and ends within `ms` for UDP plus `ms` for TCP, or when the signal says so. */
export const ask = async (server: NameServer, question: Question, patience: Patience): Promise<Asked> => {
  if (patience.signal.aborted) return calledOff
  let reading = await askUdp(server, question, patience, true)
  const edns = reading.kind !== 'no-edns'
  if (!edns) reading = await askUdp(server, question, patience, false)
  if (reading.kind === 'truncated') reading = await askTcp(server, question, patience, edns)
  switch (reading.kind) {
    case 'answer':
    case 'failed':
      return reading
    case 'no-edns':
      return { kind: 'failed', why: 'FORMERR' }
    case 'truncated':
      return { kind: 'failed', why: 'truncated even over TCP' }
    case 'foreign':
      break
  }
  return { kind: 'failed', why: 'an answer to another question' }
}

/** A socket, and so a random port, of its own for every question (RFC 5452 9.2); connected, so that only the server is heard. */
const askUdp = (server: NameServer, question: Question, { ms, signal }: Patience, edns: boolean): Promise<Reading> =>
  new Promise((resolve) => {
    const id = randomInt(65_536)
    const socket: Socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4')
    const end = (reading: Reading): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners('error').on('error', () => {})
      socket.close()
      resolve(reading)
    }
    const onAbort = (): void => end(calledOff)
    let strangers = 0
    const timer = setTimeout(() => end({ kind: 'failed', why: strangers > 0 ? `no answer in time, but ${strangers} to other questions` : 'no answer in time', isSilent: true }), ms)
    socket.on('error', (error: NodeJS.ErrnoException) => end({ kind: 'failed', why: error.code ?? error.message }))
    socket.on('message', (bytes) => {
      const reading = readPacket(bytes, id, question)
      if (reading.kind !== 'foreign') end(reading)
      else if (++strangers >= 20) end({ kind: 'failed', why: 'too many answers to other questions' }) // somebody is guessing
    })
    // where there is no way to it, Node calls back with the error as well
    const onConnected = (error?: NodeJS.ErrnoException): void => {
      if (error) end({ kind: 'failed', why: error.code ?? error.message })
      else socket.send(encodeQuestion(id, question, edns))
    }
    socket.connect(server.port, server.address, onConnected)
    signal.addEventListener('abort', onAbort)
  })

const calledOff: Asked = { kind: 'failed', why: 'the resolver was closed' }

const askTcp = (server: NameServer, question: Question, { ms, signal }: Patience, edns: boolean): Promise<Reading> =>
  new Promise((resolve) => {
    const id = randomInt(65_536)
    let received = Buffer.alloc(0)
    const socket = connect({ host: server.address, port: server.port })
    const end = (reading: Reading): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(reading)
    }
    const onAbort = (): void => end(calledOff)
    signal.addEventListener('abort', onAbort)
    const timer = setTimeout(() => end({ kind: 'failed', why: 'truncated, and no answer over TCP in time' }), ms)
    socket.on('error', (error: NodeJS.ErrnoException) => end({ kind: 'failed', why: `truncated, and no TCP: ${error.code ?? error.message}` }))
    socket.on('close', () => end({ kind: 'failed', why: 'truncated, and closed over TCP' }))
    socket.on('connect', () => {
      const query = encodeQuestion(id, question, edns)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(query.length)
      socket.write(Buffer.concat([length, query])) // RFC 1035 4.2.2
    })
    socket.on('data', (piece) => {
      received = Buffer.concat([received, piece])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return
      end(readPacket(received.subarray(2, 2 + received.readUInt16BE()), id, question))
    })
  })
