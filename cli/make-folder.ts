// Folders that an option names: made where they are not there.
import { mkdirSync } from 'node:fs'
import { Failure } from './failure.ts'

/** Throws Failure with `asked`, the option as it was given. */
export const makeFolder = (folder: string, asked: string, mode?: number): void => {
  try {
    mkdirSync(folder, { recursive: true, ...(mode !== undefined && { mode }) })
  } catch (error) {
    throw new Failure(`${asked}: ${(error as Error).message}`)
  }
}
