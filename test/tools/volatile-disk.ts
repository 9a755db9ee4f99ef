// A disk with a volatile write cache, for qemu: of what the guest wrote and did not flush, a power cut takes each sector or leaves it.
// qemu writes to a copy that is thrown away, and into a log (the format of Linux' dm-log-writes) in which each flush is an entry;
// the disk after a cut is made from the disk before it and that log. Simulated so: the guest's memory is gone, the disk's cache is
// gone in part, unflushed sectors overtook each other. Not simulated: a sector torn in its middle, and a disk that lies about a flush.
import { closeSync, fstatSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child.ts'
import type { chance } from './mails.ts'

export type VolatileDisk = {
  /** For qemu: gives it the block device `disk`. */
  readonly options: readonly string[]
  /** To be called before each start of the machine. */
  insert(): Promise<void>
  /** To be called when the machine is dead: what is left, and how many sectors of those not flushed are not. */
  losePower(): { readonly unflushed: number; readonly lost: number }
}

const mke2fs = '/sbin/mke2fs'
const sectorBytes = 4096
const bytes = 256 * 1024 * 1024
const flushed = 1n // a flag of dm-log-writes

export const createVolatileDisk = async (folder: string, random: ReturnType<typeof chance>): Promise<VolatileDisk> => {
  const [platter, seen, log] = ['platter.img', 'seen-by-guest.img', 'writes.log'].map((name) => join(folder, name)) as [string, string, string]
  await runChild(mke2fs, ['-q', '-t', 'ext4', '-b', String(sectorBytes), platter, String(bytes / sectorBytes)])
  // no-flush: the host's page cache survives the death of qemu, and the log says what the guest flushed
  const file = (node: string, path: string): string[] => ['-blockdev', `driver=file,node-name=${node},filename=${path},cache.no-flush=on`]
  return {
    options: [...file('seen', seen), ...file('log', log), '-blockdev', `driver=blklogwrites,node-name=disk,file=seen,log=log,log-sector-size=${sectorBytes}`],
    insert: async () => {
      await runChild('cp', ['--sparse=always', platter, seen])
      writeFileSync(log, '')
    },
    losePower: () => applyLog({ log: openSync(log, 'r'), platter: openSync(platter, 'r+'), leaves: random.next(), random }),
  }
}

type Cut = { readonly log: number; readonly platter: number; readonly leaves: number; readonly random: { next(): number } }

const applyLog = ({ log, platter, leaves, random }: Cut): { unflushed: number; lost: number } => {
  const entries = entriesOf(log)
  const lastFlush = entries.findLastIndex(({ flags }) => (flags & flushed) !== 0n)
  const sectors = entries.flatMap(({ at, sector, count }, index) => Array.from({ length: count }, (_, n) => ({ at: at + n * sectorBytes, sector: sector + n, safe: index < lastFlush })))
  const left = sectors.filter(({ safe }) => safe || random.next() < leaves)
  for (const { at, sector } of left) writeSync(platter, read(log, at, sectorBytes), 0, sectorBytes, sector * sectorBytes)
  for (const file of [log, platter]) closeSync(file)
  return { unflushed: sectors.filter(({ safe }) => !safe).length, lost: sectors.length - left.length }
}

type LogEntry = { readonly at: number; readonly sector: number; readonly count: number; readonly flags: bigint }

/** The entries behind the log's first sector: each a sector of its own, then its data. */
const entriesOf = (log: number): LogEntry[] => {
  const { size } = fstatSync(log)
  const entries: LogEntry[] = []
  for (let at = sectorBytes; at < size; ) {
    const head = read(log, at, 24)
    const entry = { at: at + sectorBytes, sector: Number(head.readBigUInt64LE(0)), count: Number(head.readBigUInt64LE(8)), flags: head.readBigUInt64LE(16) }
    at = entry.at + entry.count * sectorBytes
    if (at <= size) entries.push(entry)
  }
  return entries
}

const read = (file: number, at: number, length: number): Buffer => {
  const found = Buffer.alloc(length)
  readSync(file, found, 0, length, at)
  return found
}
