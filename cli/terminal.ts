// How the CLI speaks: colour only on a terminal that has it (never with NO_COLOR, nor on a dumb one), tables, times in words. Knows no mail.
import { createInterface } from 'node:readline/promises'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Styled where `stream` is a terminal that wants colour. */
export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  stream.isTTY && stream.hasColors() ? styleText(style, text, { validateStream: false }) : text

export const print = (line = ''): void => void process.stdout.write(`${legible(line)}\n`)
export const complain = (line: string): void => void process.stderr.write(`${legible(line)}\n`)
export const printJson = (value: unknown): void => void process.stdout.write(`${jsonOf(value)}\n`)

/** Somebody sits there who can be asked. */
export const isTerminal = (): boolean => process.stdin.isTTY && process.stdout.isTTY

/** Whether the answer is yes; the end of the input, and Ctrl-C, are no. */
export const agreed = async (question: string): Promise<boolean> => {
  const asking = createInterface({ input: process.stdin, output: process.stdout })
  const ended = new Promise<string>((resolve) => void asking.once('close', () => resolve('')))
  const answer = await Promise.race([asking.question(legible(question)).catch(() => ''), ended])
  asking.close()
  return /^y(es)?$/i.test(answer.trim())
}

// our own colours; else every control character but line ends and tabs, and what turns the direction of writing
// oxlint-disable-next-line no-control-regex
const special = /\u001b\[(?:1|22|31|32|33|39)m|\r\n|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** What strangers wrote (a Subject, a reply, a name in DNS) is shown, and never acts on the terminal. */
export const legible = (text: string): string => text.replace(special, (found) => (found.length > 1 ? found : escaped(found)))

const escaped = (character: string): string => {
  const hex = character.charCodeAt(0).toString(16)
  return hex.length > 2 ? `\\u${hex}` : `\\x${hex.padStart(2, '0')}`
}

/** JSON itself leaves the control characters above 7f as they are, and what turns the direction of writing. */
export const jsonOf = (value: unknown): string => JSON.stringify(value, undefined, 2).replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Whoever read the output may go away (`| head`): nothing ends by it, neither an order nor a relay, and the exit code stays. Another fault, a full disk, is said, and the exit code is 2. */
export const outliveReaders = (out: NodeJS.WriteStream = process.stdout, err: NodeJS.WriteStream = process.stderr): void => {
  err.on('error', () => {})
  out.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return
    complain(styled('red', `the output could not be written: ${message}`, err))
    process.exitCode = 2
  })
}

/** Columns as wide as their widest cell; the last one runs free. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, column) => rows.reduce((widest, row) => Math.max(widest, (row[column] ?? '').length), title.length))
  const line = (cells: readonly string[]) => cells.map((cell, column) => (column === head.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ').trimEnd()
  return [styled('bold', line(head)), ...rows.map(line)].join('\n')
}

/** 90_000 → "1m30s"; the two largest units. */
export const duration = (ms: number): string => {
  const parts: string[] = []
  let rest = Math.max(0, Math.round(ms / 1000))
  for (const [unit, size] of [['d', 86_400], ['h', 3600], ['m', 60], ['s', 1]] as const) {
    if (rest >= size && parts.length < 2) parts.push(`${Math.floor(rest / size)}${unit}`)
    rest %= size
  }
  return parts.length > 0 ? parts.join('') : '0s'
}

/** 1_234_567 → "1.2 MB"; as disks are sold and `df -H` counts. */
export const size = (bytes: number): string => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  const step = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${step === 0 ? bytes : (bytes / 1000 ** step).toFixed(1)} ${units[step]}`
}

export const ago = (at: number, now: number): string => `${duration(now - at)} ago`
export const when = (at: number, now: number): string => (at <= now ? 'now' : `in ${duration(at - now)}`)
/** In UTC, as the Z says: whoever reads it may sit elsewhere than the relay. */
export const clock = (at: number): string => new Date(at).toISOString().replace('T', ' ')
