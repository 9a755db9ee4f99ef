// How the CLI speaks: colour only on a terminal (and never with NO_COLOR), tables, times in words. Knows no mail.
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Styled where `stream` is a terminal that wants colour. */
export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  stream.isTTY && process.env.NO_COLOR === undefined ? styleText(style, text, { validateStream: false }) : text

export const print = (line = ''): void => void process.stdout.write(`${line}\n`)
export const complain = (line: string): void => void process.stderr.write(`${line}\n`)
export const printJson = (value: unknown): void => print(JSON.stringify(value, undefined, 2))

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

export const ago = (at: number, now: number): string => `${duration(now - at)} ago`
export const when = (at: number, now: number): string => (at <= now ? 'now' : `in ${duration(at - now)}`)
export const clock = (at: number): string => new Date(at).toISOString().replace('T', ' ').replace('Z', '')
