// Takes the bytes of a body while DATA is still coming: small ones stay in memory, larger ones go to the stream in chunks,
// each acknowledged, few in flight. Nothing of it is a message before the accept batch stores chunk 0.
import { createHash, type Hash } from 'node:crypto'
import { readAnswer } from './answers.ts'
import { sleep } from './clock.ts'
import type { Context } from './context.ts'
import { QueueError } from './errors.ts'
import { Pace } from './pace.ts'
import type { Room, Stage } from './room.ts'
import type { BodyWriter, NewBody } from './types.ts'

const chunkBytes = 512 * 1024
const chunksInFlight = 2
const smallBytes = 256
const mostSmallOnes = 256
const roomPatienceMs = 60_000
const storePatienceMs = 60_000
// while others wait for memory: who is slower stores what he has, where it is worth it, or has to come again
const easy = { bytesPerMs: 64, ms: 2_000 }
const crawling = { bytesPerMs: 2, ms: 10_000 }
const worthStoring = 16 * 1024
const emptyLine = Buffer.from('\r\n\r\n')

const purgesAtMost = 10
const purgeAgainMs = 2_000

export class ChunkedWriter implements BodyWriter {
  readonly #context: Context
  readonly #room: Room
  readonly #volumeTakesMore: () => boolean
  readonly #id: string
  #hash: Hash | undefined // only of what goes in chunks; most mail does not
  #head: Buffer | undefined // the first bytes, once there are more
  #pieces: Buffer[] = []
  #smallOnes = 0 // at the end of the pieces
  #pending = 0 // bytes in pieces
  #bytes = 0
  #chunks = 0
  #firstChunkAt = 0 // ms since the epoch: who sweeps goes by that, and not by our monotonic clock
  #lastSeq = 0
  #isSure = true // where each chunk lies
  #taken = 0 // bytes of the room
  #flights: Promise<void>[] = []
  #broken: QueueError | undefined
  #over = false
  readonly #easy = new Pace(easy)
  readonly #crawling = new Pace(crawling)
  #waitsSince: number | undefined // for the client; undefined while it waits for us

  constructor(context: Context, { room, volumeTakesMore }: { room: Room; volumeTakesMore: () => boolean }, id: string) {
    this.#context = context
    this.#room = room
    this.#volumeTakesMore = volumeTakesMore
    this.#id = id
  }

  async write(piece: Buffer): Promise<void> {
    if (this.#over) throw new QueueError('QUEUE_CLOSED', 'the body has ended')
    if (this.#broken) throw this.#broken
    for (const pace of [this.#easy, this.#crawling]) pace.came(piece.length, this.#waitedMs())
    this.#waitsSince = undefined
    await this.#take(piece)
    if (this.#over) return
    this.#waitsSince = this.#context.clock.monotonic()
    this.#room.enter(this)
  }

  async #take(piece: Buffer): Promise<void> {
    await this.#enter(piece.length)
    if (this.#over) return this.#leaveAgain(piece.length)
    this.#taken += piece.length
    this.#hash?.update(piece)
    this.#bytes += piece.length
    this.#keep(piece)
    this.#pending += piece.length
    if (!this.#head && this.#bytes > this.#context.limits.inlineBytes) this.#goInChunks(this.#context.limits.inlineBytes)
    while (this.#head && this.#pending >= chunkBytes && !this.#over) await this.#send(this.#cut(chunkBytes))
  }

  /** Octet by octet must not cost a buffer each: the room counts bytes. */
  #keep(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#smallOnes = piece.length < smallBytes ? this.#smallOnes + 1 : 0
    if (this.#smallOnes < mostSmallOnes) return
    this.#pieces.push(Buffer.concat(this.#pieces.splice(-mostSmallOnes)))
    this.#smallOnes = 0
  }

  /** Who has to wait for room first stores what it holds, or many bodies would wait for each other. */
  async #enter(bytes: number): Promise<void> {
    if (!this.#room.has(bytes, this.#stage)) await this.#makeRoom()
    if (!(await this.#room.take(bytes, roomPatienceMs, this.#stage))) throw new QueueError('MEMORY_SHORT', 'no room in memory for more unstored mail')
  }
  /** It was let in after it had gone. */
  #leaveAgain(bytes: number): never {
    this.#room.give(bytes)
    throw new QueueError('QUEUE_CLOSED', 'the body was abandoned')
  }
  get #stage(): Stage {
    return this.#head ? 'goes-on' : 'begins'
  }
  async #makeRoom(): Promise<void> {
    if (this.#beginChunks() && this.#pending > 0) await this.#send(this.#cut(this.#pending))
  }
  /** Once the header section is whole: the head must hold it, but need not hold more. Whether it goes in chunks now. */
  #beginChunks(): boolean {
    const headerEnds = this.#head ? -1 : Buffer.concat(this.#pieces).indexOf(emptyLine)
    if (headerEnds >= 0) this.#goInChunks(headerEnds + emptyLine.length)
    return this.#head !== undefined
  }
  #waitedMs(): number {
    return this.#waitsSince === undefined ? 0 : this.#context.clock.monotonic() - this.#waitsSince
  }
  get holds(): number {
    return this.#taken
  }
  /** A few dozen clients that stop in the middle would keep out everybody's mail. What can be stored is; only for the rest, and where there is no more, has a client to come again. */
  relieve(): number {
    if (this.#over || this.#waitsSince === undefined) return 0
    const canStore = this.#broken === undefined && this.#pending >= worthStoring && this.#flights.length < chunksInFlight && this.#easy.isBehind(this.#waitedMs()) && this.#beginChunks()
    const bytes = canStore ? this.#pending : 0
    if (canStore) this.#makeRoom().catch(() => {}) // the next piece is told
    else if (this.#flights.length === 0 && (this.#broken || this.#crawling.isBehind(this.#waitedMs()))) this.#giveUp() // what is in flight is in memory
    return bytes
  }
  #giveUp(): void {
    this.#broken ??= new QueueError('MEMORY_SHORT', 'memory for unstored mail is short, and the rest of this one is long in coming')
    this.#pieces = []
    this.#pending = 0
    this.#head = undefined
    this.#giveAll()
  }

  async end(): Promise<NewBody> {
    this.#over = true
    if (this.#head && this.#pending > 0) await this.#send(this.#cut(this.#pending))
    await Promise.all(this.#flights)
    if (this.#broken) throw this.#broken
    if (await this.#isSwept()) throw new QueueError('QUEUE_UNREACHABLE', 'the chunks of the body are so old that they may have been swept')
    const inline = this.#head ?? Buffer.concat(this.#pieces)
    this.#giveAll()
    if (!this.#hash || this.#chunks === 0) return { inline }
    return { chunked: { id: this.#id, chunks: this.#chunks, bytes: this.#bytes, sha256: this.#hash.digest('hex'), head: inline } }
  }

  /** What could not be purged is swept later; found by its first chunks, so these stay where another may lie behind them that we do not know of. */
  async abandon(): Promise<void> {
    this.#over = true
    await Promise.allSettled(this.#flights)
    this.#giveAll()
    this.#pieces = []
    if (this.#chunks > 0 && this.#isSure) await this.#purge(purgesAtMost)
  }
  /** Servers that have very much to remove, as when the volume was full a moment ago, may not answer in time. Nobody waits for the next try. */
  async #purge(tries: number): Promise<void> {
    const { stream, subjects, clock } = this.#context
    const removed = await stream.purge(subjects.bodyOf(this.#id), this.#lastSeq + 1)
    if (removed === undefined && tries > 1) clock.after(purgeAgainMs, () => void this.#purge(tries - 1).catch(() => {}))
  }

  /** No DATA may last so long; but clocks are set, and machines sleep in the middle of one. */
  async #isSwept(): Promise<boolean> {
    const { stream, subjects, clock, limits } = this.#context
    if (this.#chunks === 0 || Math.abs(clock.now() - this.#firstChunkAt) < limits.halfBodyMs / 2) return false
    return (await stream.subjects(subjects.bodyOf(this.#id)))?.size !== this.#chunks
  }

  #goInChunks(headBytes: number): void {
    this.#hash = createHash('sha256')
    for (const piece of this.#pieces) this.#hash.update(piece)
    this.#head = Buffer.from(this.#cut(headBytes)) // a copy: it must not keep the rest of its piece in memory
  }

  #cut(bytes: number): Buffer {
    const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces)
    const rest = all.subarray(bytes)
    this.#pieces = rest.length > 0 ? [rest] : []
    this.#smallOnes = 0
    this.#pending = rest.length
    return all.subarray(0, bytes)
  }

  /** Bodies that are on their way together are as large as a volume; what could not be accepted at its end is not stored before. */
  async #send(chunk: Buffer): Promise<void> {
    if (!this.#volumeTakesMore()) throw (this.#broken = new QueueError('QUEUE_FULL', 'the queue has no room for the rest of the body'))
    if (this.#chunks === 0) this.#firstChunkAt = this.#context.clock.now()
    const flight = this.#store(++this.#chunks, chunk).catch((error: unknown) => {
      this.#broken ??= error as QueueError
    })
    this.#flights.push(flight)
    void flight.then(() => {
      void this.#flights.splice(this.#flights.indexOf(flight), 1)
      this.#give(chunk.length)
    })
    if (this.#flights.length >= chunksInFlight) await Promise.race(this.#flights)
    if (this.#broken) throw this.#broken
  }

  async #store(n: number, payload: Buffer): Promise<void> {
    const { stream, subjects, clock } = this.#context
    const record = { subject: subjects.body(this.#id, n), payload, expect: { last: 0 } }
    const deadline = clock.monotonic() + storePatienceMs
    for (let wait = 50; clock.monotonic() < deadline; wait = Math.min(wait * 2, 1_000)) {
      const meaning = readAnswer(await stream.publish(record), { ownAbsent: true, fence: false })
      if (meaning.kind === 'stored' && meaning.lastSeq !== undefined) this.#lastSeq = Math.max(this.#lastSeq, meaning.lastSeq)
      else this.#isSure = false
      if (meaning.kind === 'stored') return
      await sleep(clock, wait)
    }
    throw new QueueError('QUEUE_UNREACHABLE', 'a chunk of the body could not be stored in time')
  }

  #give(bytes: number): void {
    const given = Math.min(bytes, this.#taken)
    this.#taken -= given
    this.#room.give(given)
  }
  #giveAll(): void {
    this.#room.leave(this)
    this.#give(this.#taken)
  }
}
