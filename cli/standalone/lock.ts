// One standalone per data folder; and what a killed one left running is ended before its data is opened again.
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'

/** Returns the unlock. Throws Failure naming the process that holds the folder. */
export const lockFolder = (folder: string): (() => void) => {
  const path = join(folder, 'lock')
  for (let tries = 0; tries < 3; tries++) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, String(process.pid))
      closeSync(file)
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new Failure(`--data ${folder}: ${(error as Error).message}`)
      const holder = Number(readFileSync(path, 'utf8'))
      if (holds(holder)) throw new Failure(`${folder} is in use by process ${holder}: stop it, or name another folder with --data`)
      rmSync(path, { force: true })
    }
  }
  throw new Failure(`could not lock ${path}: another process keeps taking it`)
}

/** A nats-server that a killed standalone left on this folder is asked to stop, and waited for. */
export const endLeftOver = async (natsFolder: string): Promise<void> => {
  const pid = Number(readIfThere(join(natsFolder, 'nats.pid')))
  const config = join(natsFolder, 'nats.conf')
  const ours = () => pid > 1 && isAlive(pid) && (commandOf(pid) ?? '').includes(config)
  if (!ours()) return
  process.kill(pid, 'SIGTERM')
  for (let tries = 0; ours(); tries++) {
    if (tries === 300) process.kill(pid, 'SIGKILL')
    await sleep(100)
  }
}

/** A number may have been given to another program since; where the system does not tell, it counts as ours. */
const holds = (pid: number): boolean => isAlive(pid) && (pid === process.pid || /posthouse|cli\/main/.test(commandOf(pid) ?? 'posthouse'))

const isAlive = (pid: number): boolean => {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Undefined where the system does not tell (no /proc). */
const commandOf = (pid: number): string | undefined => readIfThere(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ')

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
