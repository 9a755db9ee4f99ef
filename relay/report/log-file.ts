// Where log lines go: a file or standard output, many lines in one write. A disk that is full, or a reader that is gone, costs lines, never the process: pino's own
// destination ends it, or at its end tries for ever.
import { openSync, write, writeSync } from 'node:fs'

const togetherBytes = 32_768 // as soon as there are so many, else every half second: one write each would cost as much as a reply to a client
const everyMs = 500
const heldBytes = 1_048_576 // while they cannot be written
const lastPatienceMs = 1_000

export type LogFile = {
  write(line: string): void
}

/** Appends to the file, mode 0600; without one, standard output. `onRoom` is told how many lines were lost, once lines can be written again. Throws where the file cannot be opened. */
export const openLogFile = (file: string | undefined, onRoom: (lost: number) => void): LogFile => {
  const fd = file === undefined ? 1 : openSync(file, 'a', 0o600)
  let lines: string[] = []
  let bytes = 0
  let going: Buffer | undefined // being written; what is left of it after an error goes first
  let isBusy = false
  let lost = 0

  const go = (): void => {
    going ??= take()
    if (isBusy || going === undefined) return
    isBusy = true
    write(fd, going, (error, n) => {
      isBusy = false
      if (error) return // tried again in a while
      going = n < going!.length ? going!.subarray(n) : undefined
      tellRoom()
      if (going || bytes >= togetherBytes) go()
    })
  }
  const take = (): Buffer | undefined => {
    if (lines.length === 0) return undefined
    const all = Buffer.from(lines.join(''))
    lines = []
    bytes = 0
    return all
  }
  const tellRoom = (): void => {
    if (lost === 0 || bytes > heldBytes / 2) return // what tells it is a line as well
    const count = lost
    lost = 0
    onRoom(count)
  }
  setInterval(go, everyMs).unref()
  atExit(() => writeAll(fd, Buffer.concat([isBusy ? undefined : going, take()].flatMap((one) => one ?? []))))
  return {
    write: (line) => {
      if (bytes + line.length > heldBytes) return void lost++
      lines.push(line)
      bytes += line.length
      if (bytes >= togetherBytes) go()
    },
  }
}

const endings = new Set<() => void>()
const atExit = (end: () => void): void => {
  if (endings.size === 0) process.once('exit', () => endings.forEach((one) => one()))
  endings.add(end)
}

/** The last lines of a process: a pipe that is full for the moment is waited for, a while. */
const writeAll = (fd: number, bytes: Buffer): void => {
  const until = Date.now() + lastPatienceMs
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || Date.now() > until) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}
