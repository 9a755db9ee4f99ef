// One MailRelay's snapshot from a folder of manifests, now and whenever a file changes. Every mistake is told; a folder with mistakes changes nothing.
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { printProblem } from '../../operator/index.ts'
import type { Snapshot } from '../../relay/snapshot/index.ts'
import { compile, type Compiled } from '../compile-manifests.ts'
import { Failure } from '../failure.ts'
import type { Opening } from '../listen-option.ts'
import { complain, styled } from '../terminal.ts'

/** `relay`: namespace/name where the folder has several. */
export type FolderOptions = Opening & { readonly relay?: string }

/** Throws Failure with every mistake. */
export const compileFolder = async (manifests: string, data: string, { relay, host, listen }: FolderOptions = {}): Promise<Snapshot> => {
  const compiled = await compile({ manifests, made: join(data, 'made'), now: new Date(), ...(host !== undefined && { host }), ...(listen !== undefined && { listen }) })
  for (const problem of compiled.problems) if (problem.level === 'warning') complain(styled('yellow', printProblem(problem), process.stderr))
  const errors = compiled.problems.filter(({ level }) => level === 'error').map(printProblem)
  if (errors.length > 0) throw new Failure(`${errors.join('\n')}\n${errors.length} ${errors.length === 1 ? 'mistake' : 'mistakes'} in ${manifests}: nothing is started or changed`)
  return chosen(compiled, manifests, relay)
}

const chosen = ({ snapshots }: Compiled, manifests: string, relay?: string): Snapshot => {
  const names = [...snapshots.keys()]
  if (names.length === 0) throw new Failure(`${manifests} declares no MailRelay`)
  if (relay === undefined && names.length > 1) throw new Failure(`${manifests} declares ${names.length} MailRelays: name one with --relay ${names.join(' or --relay ')}`)
  const found = snapshots.get(relay ?? names[0]!)
  if (!found) throw new Failure(`${manifests} declares no MailRelay ${relay}; it has ${names.join(', ')}`)
  return found
}

/**
 * Looks every second, and once a day anew: certificates are renewed and keys rotated by that. A broken folder is complained of once, and what runs stays.
 * `seen`: its stamp before what runs was compiled, so that what changed while that was started is seen.
 */
export const watchFolder = (manifests: string, data: string, options: FolderOptions & { readonly seen: string }, changed: (snapshot: Snapshot) => void): { stop(): void } => {
  let { seen } = options
  let busy = false
  const look = async () => {
    if (busy) return
    busy = true
    try {
      const now = stampToday(manifests)
      if (now === seen) return
      seen = now
      changed(await compileFolder(manifests, data, options))
    } catch (error) {
      complain(styled('red', `${(error as Error).message}\nwhat runs stays as it was`, process.stderr))
    } finally {
      busy = false
    }
  }
  const timer = setInterval(() => void look(), 1000)
  return { stop: () => clearInterval(timer) }
}

/** Another one when a file changed, or the day. */
export const stampToday = (manifests: string): string => `${Math.floor(Date.now() / 86_400_000)}|${stamp(manifests)}`

/** Names, sizes and times of the files: differs when anything was written. */
const stamp = (manifests: string): string => {
  const files = globSync('*.{yaml,yml}', { cwd: manifests }).sort()
  return files.map((file) => [file, stampOf(join(manifests, file))].join(':')).join('|')
}

const stampOf = (path: string): string => {
  const found = statSync(path, { throwIfNoEntry: false })
  return found ? `${found.size}@${found.mtimeMs}` : 'gone'
}
