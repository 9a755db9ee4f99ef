// Reads the bytes of a delivery, wherever they lie. "Missing" is said only when the leader says so, and still does after 5 s; it is never an outcome.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { sleep } from './clock.ts'
import type { Context } from './context.ts'
import { QueueError } from './errors.ts'
import { decodeBodyStart } from './record-wire.ts'
import type { BodyPointer } from './record.ts'
import type { BodySource } from './types.ts'

const patienceMs = 15_000
/** A leader may store a batch later than a follower that already shows the first of it. */
const leaderMayLagMs = 5_000

export type WatchedBody = BodySource & { /** What was wrong with the stored bytes, if anything was. */ fault(): QueueError | undefined }

export const bodyOf = (context: Context, { body, inline }: { readonly body?: BodyPointer | undefined; readonly inline?: Buffer | undefined }): WatchedBody => {
  let fault: QueueError | undefined
  const watch = async function* (pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* pieces
    } catch (error) {
      if (error instanceof QueueError && error.code !== 'QUEUE_UNREACHABLE') fault = error
      throw error
    }
  }
  if (!body) return { open: () => Readable.from([inline ?? Buffer.alloc(0)]), head: () => Promise.resolve(inline ?? Buffer.alloc(0)), fault: () => undefined }
  return {
    open: () => Readable.from(watch(stored(context, body)), { objectMode: false, highWaterMark: 65_536 }),
    head: async () => {
      for await (const first of watch(headOf(context, body))) return first
      return Buffer.alloc(0)
    },
    fault: () => fault,
  }
}

async function* stored(context: Context, body: BodyPointer): AsyncGenerator<Buffer> {
  const check = checkOf(body)
  yield check.piece(await firstOf(context, body))
  for (let n = 1; n <= body.chunks; n++) yield check.piece(await chunk(context, body, n))
  check.end()
}

/** The first bytes, checked where they are all there is. */
async function* headOf(context: Context, body: BodyPointer): AsyncGenerator<Buffer> {
  const check = checkOf(body)
  const first = check.piece(await firstOf(context, body))
  if (body.chunks === 0) check.end()
  yield first
}

const firstOf = async (context: Context, body: BodyPointer): Promise<Buffer> => decodeBodyStart(await chunk(context, body, 0)).first

/** Whether the bytes are those that were accepted. `end` throws QueueError where they are not. */
const checkOf = ({ id, bytes, sha256, hashedFrom }: BodyPointer) => {
  const hash = hashedFrom === undefined ? undefined : createHash('sha256')
  let seen = 0
  return {
    piece: (piece: Buffer): Buffer => {
      hash?.update(seen === 0 ? piece.subarray(hashedFrom) : piece)
      seen += piece.length
      return piece
    },
    end: (): void => {
      if (seen !== bytes) throw new QueueError('BODY_DAMAGED', `the body ${id} has ${seen} bytes, not ${bytes}`)
      if (hash && hash.digest('hex') !== sha256) throw new QueueError('BODY_DAMAGED', `the bytes of the body ${id} are not those that were accepted`)
    },
  }
}

/** From any replica; what a follower does not have is asked of the leader. */
const chunk = async ({ stream, subjects, clock }: Context, body: BodyPointer, n: number): Promise<Buffer> => {
  const subject = subjects.body(body.id, n)
  const deadline = clock.monotonic() + patienceMs
  let missingSince: number | undefined
  for (let wait = 100; clock.monotonic() < deadline; wait *= 2) {
    const near = await stream.last(subject, 'any')
    const found = near.kind === 'found' ? near : await stream.last(subject, 'leader')
    if (found.kind === 'found') return found.record.payload
    missingSince = found.kind === 'missing' ? (missingSince ?? clock.monotonic()) : undefined
    if (missingSince !== undefined && clock.monotonic() - missingSince >= leaderMayLagMs) throw new QueueError('BODY_MISSING', `chunk ${n} of the body ${body.id} is not there`)
    await sleep(clock, wait)
  }
  throw new QueueError('QUEUE_UNREACHABLE', `chunk ${n} of the body ${body.id} could not be asked for`)
}

/** What a notice quotes: the whole message where asked for and small, else its header section. */
export const originalOf = async (source: BodySource, wanted: { readonly whole: boolean; readonly bytes: number }): Promise<{ bytes: Buffer; whole: boolean }> => {
  try {
    const head = await source.head()
    if (wanted.whole && wanted.bytes <= 65_536 && head.length === wanted.bytes) return { bytes: head, whole: true }
    const end = head.indexOf('\r\n\r\n')
    return { bytes: head.subarray(0, end === -1 ? head.length : end + 4), whole: false }
  } catch {
    return { bytes: Buffer.alloc(0), whole: false } // the notice matters more than what it quotes
  }
}

