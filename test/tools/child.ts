// Child processes of tests: output kept, killed with their children whatever ends the test.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { createWriteStream } from 'node:fs'

export type Child = {
  readonly pid: number
  readonly process: ChildProcess
  /** Exit code, or 128 and more when a signal ended it. */
  readonly exited: Promise<number>
  running(): boolean
  /** Everything printed so far on stdout and stderr, in order of arrival. */
  output(): string
  stdout(): string
  onLine(listener: (line: string) => void): void
  signal(name: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL to its whole group when it does not go within `patienceMs`. */
  stop(patienceMs?: number): Promise<number>
}

const living = new Set<Child>()

/** Starts a process in a group of its own. `log`: a file that also gets its output. */
export const startChild = (command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv; log?: string; input?: string } = {}): Child => {
  const spawnOptions: SpawnOptions = { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: { ...process.env, ...options.env }, ...(options.cwd !== undefined && { cwd: options.cwd }) }
  const child = spawn(command, args, spawnOptions)
  child.stdin!.on('error', () => {}) // it may leave before it read all
  child.stdin!.end(options.input ?? '')
  const kept = keepOutput(child, options.log)
  const exited = new Promise<number>((resolve) => {
    child.once('error', (error) => (kept.add(`${error.message}\n`), resolve(127)))
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)))
  })
  const self: Child = {
    pid: child.pid ?? 0,
    process: child,
    exited,
    running: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    output: kept.all,
    stdout: kept.stdout,
    onLine: (listener) => void kept.listeners.push(listener),
    signal: (name) => signalGroup(child, name),
    stop: async (patienceMs = 10_000) => {
      if (self.running()) signalGroup(child, 'SIGTERM')
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), patienceMs)
      const code = await exited
      clearTimeout(timer)
      signalGroup(child, 'SIGKILL') // what it left behind
      return code
    },
  }
  living.add(self)
  void exited.then(() => living.delete(self))
  return self
}

/** Runs to the end; throws with the output when the exit code is not 0, unless `mayFail`. */
export const runChild = async (command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string; mayFail?: boolean; forMs?: number } = {}): Promise<{ code: number; output: string; stdout: string }> => {
  const child = startChild(command, args, options)
  const timer = setTimeout(() => child.signal('SIGKILL'), options.forMs ?? 120_000)
  const code = await child.exited
  clearTimeout(timer)
  if (code !== 0 && options.mayFail !== true) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${child.output().slice(-4000)}`)
  return { code, output: child.output(), stdout: child.stdout() }
}

const signalGroup = (child: ChildProcess, name: NodeJS.Signals): void => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, name)
  } catch {
    // gone already
  }
}

const keepOutput = (child: ChildProcess, log: string | undefined) => {
  const pieces: string[] = []
  const outOnly: string[] = []
  const listeners: ((line: string) => void)[] = []
  const file = log === undefined ? undefined : createWriteStream(log, { flags: 'a' })
  let rest = ''
  const add = (text: string): void => {
    pieces.push(text)
    file?.write(text)
    const lines = text.split('\n') // of what is new only: smtp-sink counts its mails on one line that never ends
    lines[0] = rest + lines[0]!
    rest = lines.pop()!
    for (const line of lines) for (const listener of listeners) listener(line)
  }
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (outOnly.push(text), add(text)))
  child.stderr!.setEncoding('utf8').on('data', add)
  child.once('close', () => file?.end())
  return { add, listeners, all: () => pieces.join(''), stdout: () => outOnly.join('') }
}

process.once('exit', () => {
  for (const child of living) child.signal('SIGKILL')
})
