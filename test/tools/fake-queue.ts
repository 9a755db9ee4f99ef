// A queue in memory for tests of the receiving side: keeps what was accepted, and answers as it is told.
import { createHash } from 'node:crypto'
import type { Accepted, BodyWriter, NewBody, NewMessage, Queue, TraceEvent } from '../../relay/queue/index.ts'

export type Kept = { readonly message: NewMessage; readonly text: string }
export type FakeQueue = Queue & {
  readonly kept: Kept[]
  readonly emitted: TraceEvent[]
  readonly bodies: { begun: number; ended: number; abandoned: number }
  answer: Accepted
  /** Resolves when every accept until then may be answered. */
  gate: Promise<void> | undefined
  durability: { ok: boolean; reason: string; text: string }
  pods: { pod: string; revision: string }[]
  writeError: Error | undefined
  /** Of the end of a body. */
  endError: Error | undefined
}

const notHere = (): never => {
  throw new Error('the fake queue only accepts')
}

export const createFakeQueue = (): FakeQueue => {
  let next = 0
  const queue: FakeQueue = {
    kept: [],
    emitted: [],
    bodies: { begun: 0, ended: 0, abandoned: 0 },
    answer: { kind: 'stored' },
    gate: undefined,
    durability: { ok: true, reason: 'Held', text: 'kept' },
    pods: [{ pod: 'test', revision: 'r' }],
    writeError: undefined,
    endError: undefined,
    newMessageId: () => `m${(next += 1)}`,
    newBody: () => newBody(queue),
    accept: async (message) => {
      await queue.gate
      if (queue.answer.kind === 'stored') queue.kept.push({ message, text: textOf(message) })
      return queue.answer
    },
    emit: (event) => void queue.emitted.push(event),
    now: () => Date.now(),
    durable: () => queue.durability,
    isFull: () => false,
    outage: () => undefined,
    peers: () => queue.pods.map((one) => ({ lanes: 0, ...one })),
    counts: () => ({ ready: 0, inFlight: 0, lanesOwned: 0, bytes: 0 }),
    totals: () => undefined,
    servers: () => undefined,
    count: notHere,
    remains: notHere,
    setPaused: () => {},
    resize: () => {},
    start: notHere, drain: notHere, close: notHere, summary: notHere, list: notHere, show: notHere, order: notHere, whyWaiting: notHere, trace: notHere, latest: notHere, find: notHere,
  }
  return queue
}

const newBody = (queue: FakeQueue): BodyWriter => {
  const pieces: Buffer[] = []
  let isWhole = false
  queue.bodies.begun += 1
  return {
    write: async (piece) => {
      if (queue.writeError) throw queue.writeError
      pieces.push(piece)
    },
    end: async (): Promise<NewBody> => {
      if (queue.endError) throw queue.endError
      queue.bodies.ended += 1
      isWhole = true
      return { inline: Buffer.concat(pieces) }
    },
    abandon: async () => {
      queue.bodies.abandoned += 1
      if (isWhole) queue.bodies.ended -= 1 // refused in the end
      pieces.length = 0
    },
  }
}

const textOf = ({ headers, body }: NewMessage): string => Buffer.concat([headers, 'inline' in body ? body.inline : Buffer.alloc(0)]).toString('latin1')

/** Credentials as a snapshot holds them. */
export const loginOf = (username: string, secret: string): { username: string; salt: string; hash: string } => ({
  username, salt, hash: createHash('sha256').update(Buffer.from(salt, 'hex')).update(secret).digest('hex'),
})
const salt = 'a1b2c3d4e5f60718'
