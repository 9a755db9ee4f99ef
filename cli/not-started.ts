// A relay that could not start because of something a person can mend: one line, and the process ends although the queue is open already.
import { complain, styled } from './terminal.ts'

const mendable = ['SNAPSHOT_INVALID', 'EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'ENOENT']

/** Throws on what nobody foresaw. */
export const endNotStarted = (error: Error & { code?: string }): never => {
  if (!mendable.includes(error.code ?? '')) throw error
  complain(styled('red', `not started: ${error.message}${error.code === 'EADDRINUSE' ? '; another program listens there: end it, or name another address (--help says with which option)' : ''}`, process.stderr))
  process.exit(2)
}
