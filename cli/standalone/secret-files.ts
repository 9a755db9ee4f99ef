// Files that only their owner may read.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Written beside and renamed, so that nobody ever reads half a secret. */
export const writeSecretly = (path: string, text: string): void => {
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx' })
  renameSync(draft, path)
}

export const readIn = (folder: string, name: string): string | undefined => {
  const path = join(folder, name)
  if (!existsSync(path)) return undefined
  chmodSync(path, 0o600) // whoever copied it here may have opened it
  return readFileSync(path, 'utf8')
}

export const folderFor = (...parts: readonly string[]): string => {
  const folder = join(...parts)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}
