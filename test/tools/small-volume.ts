// A small volume that a test can fill up, for real: a file system in memory. Only where the test has mounts of its own.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export type SmallVolume = {
  /** Something else takes all that is free. */
  fill(): void
  /** It goes away again. */
  free(): void
  /** From 0 to 1. */
  used(): number
}

export const mountSmall = (folder: string, megabytes: number): SmallVolume => {
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', folder])
  const other = join(folder, 'of-somebody-else')
  return {
    fill: () => {
      const file = openSync(other, 'a')
      try {
        for (const piece of [100_000, 1]) writeUntilFull(file, Buffer.alloc(piece))
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(other, { force: true }),
    used: () => {
      const { bavail, blocks } = statfsSync(folder)
      return 1 - bavail / blocks
    },
  }
}

const writeUntilFull = (file: number, piece: Buffer): void => {
  try {
    for (;;) writeSync(file, piece)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
