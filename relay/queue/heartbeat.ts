// Says every second that we live and which lanes we serve, and hears the same of the others. Stores nothing.
import type { Context } from './context.ts'
import { packVersion } from './record-wire.ts'

export type Beat = { readonly pod: string; readonly incarnation: string; readonly revision: string; readonly serving: boolean; readonly lanes: readonly number[]; readonly lapsed?: readonly number[]; readonly hello?: boolean; readonly reads?: number } // reads: the newest format of records that it knows, 1 where it does not say; lapsed: of these lanes, those whose lease was not renewed in its time
type Peer = Beat & { readonly firstSeen: number; readonly lastHeard: number } // monotonic; on the ear's clock

const beatEveryMs = 1_000
const aliveForMs = 4_000

export type Heartbeat = {
  /** Live processes but ourselves. */
  others(): Peer[]
  /** A process lives that cannot read packs. */
  hearsOlder(): boolean
  /** No such process lives, and we have listened for long enough to know. */
  mayPack(): boolean
  beat(): void
  stop(): void
}

export const createHeartbeat = (context: Context, ours: () => Pick<Beat, 'serving' | 'lanes' | 'lapsed' | 'revision'>, onBeat: () => void): Heartbeat => {
  const { stream, subjects, clock, pod, incarnation } = context
  const peers = new Map<string, Peer>()
  const ear = createEar(clock)
  const begun = ear.now()
  const say = (hello: boolean) => stream.tell(subjects.beat(pod), Buffer.from(JSON.stringify({ pod, incarnation, ...ours(), reads: packVersion, ...(hello && { hello }) } satisfies Beat)))
  const hear = (data: Buffer) => {
    const beat = readBeat(data)
    if (!beat) return
    if (beat.incarnation === incarnation) return ear.heardOurselves()
    const before = peers.get(beat.incarnation)
    peers.set(beat.incarnation, { ...beat, firstSeen: before?.firstSeen ?? clock.monotonic(), lastHeard: ear.now() })
    if (beat.hello) say(false)
    if (!before || before.lanes.length > beat.lanes.length || beat.serving !== before.serving) onBeat()
  }
  const deaf = stream.hear(subjects.beats, hear)
  let cancel = () => {}
  const go = (hello: boolean) => {
    say(hello)
    cancel = clock.after(beatEveryMs, () => go(false))
  }
  go(true)
  const others = () => {
    const oldest = ear.now() - aliveForMs
    for (const [key, { lastHeard }] of peers) if (lastHeard < oldest) peers.delete(key)
    return [...peers.values()]
  }
  const hearsOlder = () => others().some(({ reads = 1 }) => reads < packVersion)
  return {
    others,
    hearsOlder,
    mayPack: () => ear.now() - begun >= aliveForMs && !hearsOlder(),
    beat: () => say(false),
    stop: () => {
      cancel()
      deaf()
    },
  }
}

/**
 * A clock that stands still while our own beats do not come back to us: then nobody could be heard, and silence says nothing of the others. Who was there before
 * an outage of our link, or of all servers, has the same seconds after it to be heard again, however often the link goes. Not for ever: whoever may write and not hear must not wait for the dead.
 */
const createEar = (clock: Context['clock']) => {
  const overdueMs = 2 * beatEveryMs
  const atMostMs = 600_000
  let lastOwn = clock.monotonic()
  let deafMs = 0
  const lostMs = () => {
    const since = clock.monotonic() - lastOwn
    return since > overdueMs ? Math.min(since - beatEveryMs, atMostMs) : 0
  }
  return {
    now: () => clock.monotonic() - deafMs - lostMs(),
    heardOurselves: () => {
      deafMs += lostMs()
      lastOwn = clock.monotonic()
    },
  }
}

const readBeat = (data: Buffer): Beat | undefined => {
  try {
    const beat = JSON.parse(data.toString()) as Beat
    return typeof beat.pod === 'string' && typeof beat.incarnation === 'string' && Array.isArray(beat.lanes) ? beat : undefined
  } catch {
    return undefined
  }
}
