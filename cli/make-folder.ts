// Folders that an option names: made where they are not there.
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { Failure } from './failure.ts'

/** Throws Failure with `asked`, the option as it was given. */
export const makeFolder = (folder: string, asked: string, mode?: number): void => {
  try {
    make(folder, mode)
  } catch (error) {
    throw new Failure(`${asked}: ${(error as Error).message}`)
  }
}

/** Not by `recursive`: below /proc, which is there and takes no folder, that tries for ever. */
const make = (folder: string, mode: number | undefined): void => {
  const once = (): void => mkdirSync(folder, { ...(mode !== undefined && { mode }) })
  try {
    once()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error
    make(dirname(folder), mode)
    once()
  }
}
