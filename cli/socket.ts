// Which relay the CLI talks to: --socket, POSTHOUSE_SOCKET, the clone's .posthouse, or the path inside a pod.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander' // the parser of options that most Node CLIs use, MIT
import { AdminError, askAdmin } from '../relay/report/internal.ts'
import { Failure } from './failure.ts'

const inPod = '/run/posthouse/admin.sock'
/** Of the relay that `npm start` runs in this folder. */
export const socketHere = join('.posthouse', 'admin.sock')

export type Asking = { readonly socket?: string; readonly json?: boolean }

export const askingOptions = (command: Command): Command =>
  command.option('--socket <path>', 'admin socket of the relay (default: POSTHOUSE_SOCKET, .posthouse/admin.sock, then the pod\'s own)').option('--json', 'print JSON for machines')

/** Throws Failure with what to do when no relay answers or it refuses. */
export const ask = async (options: Asking, call: string, args: Record<string, unknown> = {}): Promise<unknown> => {
  try {
    return await askAdmin(socketOf(options), call, args)
  } catch (error) {
    throw error instanceof AdminError ? new Failure(error.message, error.code === 'NOT_FOUND' ? 1 : 2) : error
  }
}

const socketOf = ({ socket }: Asking): string => socket ?? process.env.POSTHOUSE_SOCKET ?? (existsSync(socketHere) || !existsSync(inPod) ? socketHere : inPod)
