// What a relay runs now: its snapshot, where a command is told of it or stands beside it. Reads only.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readSnapshot, type Snapshot } from '../relay/snapshot/index.ts'
import { Failure } from './failure.ts'
import { socketHere } from './socket.ts'

const inPod = '/etc/posthouse/snapshot'

/** The folder that is given, else the one inside a relay's pod, where this is one. */
export const runningFolder = (given: string | undefined, ofPod = inPod): string | undefined => given ?? (existsSync(ofPod) ? ofPod : undefined)

/** The one of a relay that `npm start` runs here: where its socket is, for the folder stays when it has stopped. */
export const folderHere = (): string | undefined => (existsSync(socketHere) ? join('.posthouse', 'snapshot') : undefined)

export const runningSnapshot = (folder: string): Snapshot => {
  try {
    return readSnapshot(folder).snapshot
  } catch (error) {
    throw new Failure(`--snapshot ${folder}: ${(error as Error).message}`)
  }
}
