// A disk with a volatile write cache, for qemu: of what the guest wrote and did not flush, a power cut takes each sector or leaves it.
// qemu writes to a copy that is thrown away, and into a log (the format of Linux' dm-log-writes) in which each flush is an entry;
// the disk after a cut is made from the disk before it and that log. Simulated so: the guest's memory is gone, the disk's cache is
// gone in part, unflushed sectors overtook each other. Not simulated: a sector torn in its middle, and a disk that lies about a flush.
import { closeSync, fstatSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child.ts'
import type { Chance } from './mails.ts'

export type VolatileDisk = {
  /** For qemu: gives it the block device `disk`. */
  readonly options: readonly string[]
  /** To be called before each start of the machine. */
  insert(): Promise<void>
  /** Sectors written since the last flush; to be called while the machine stands still. */
  unflushed(): number
  /** To be called when the machine is dead. */
  losePower(): Cut
}

/** In sectors. */
export type Cut = { readonly unflushed: number; readonly lost: number }

const mke2fs = '/sbin/mke2fs'
const sectorBytes = 4096
const bytes = 2 * 1024 ** 3 // almost all of it holes
const flushed = 1n // a flag of dm-log-writes

export const createVolatileDisk = async (folder: string, random: Chance): Promise<VolatileDisk> => {
  const [platter, seen, log] = ['platter.img', 'seen-by-guest.img', 'writes.log'].map((name) => join(folder, name)) as [string, string, string]
  await runChild(mke2fs, ['-q', '-t', 'ext4', '-E', 'lazy_itable_init=0', '-J', 'size=8', '-b', String(sectorBytes), platter, String(bytes / sectorBytes)])
  // no-flush: the host's page cache survives the death of qemu, and the log says what the guest flushed
  const file = (node: string, path: string): string[] => ['-blockdev', `driver=file,node-name=${node},filename=${path},cache.no-flush=on`]
  return {
    options: [...file('seen', seen), ...file('log', log), '-blockdev', `driver=blklogwrites,node-name=disk,file=seen,log=log,log-sector-size=${sectorBytes}`],
    insert: async () => {
      await runChild('cp', ['--sparse=always', platter, seen])
      writeFileSync(log, '')
    },
    unflushed: () => writesIn(log).filter(({ safe }) => !safe).length,
    losePower: () => {
      const writes = writesIn(log)
      const leaves = random.next()
      const left = writes.filter(({ safe }) => safe || random.next() < leaves)
      copySectors(log, platter, left)
      return { unflushed: writes.filter(({ safe }) => !safe).length, lost: writes.length - left.length }
    },
  }
}

/** One sector: where its data is in the log, where it belongs, and whether a flush came after it. */
type Write = { readonly at: number; readonly sector: number; readonly safe: boolean }

const writesIn = (log: string): Write[] => {
  const entries = entriesOf(log)
  const lastFlush = entries.findLastIndex(({ flags }) => (flags & flushed) !== 0n)
  return entries.flatMap(({ at, sector, count }, index) => Array.from({ length: count }, (_, n) => ({ at: at + n * sectorBytes, sector: sector + n, safe: index < lastFlush })))
}

const copySectors = (from: string, to: string, writes: readonly Write[]): void => {
  const [log, platter] = [openSync(from, 'r'), openSync(to, 'r+')]
  for (const { at, sector } of writes) writeSync(platter, read(log, at, sectorBytes), 0, sectorBytes, sector * sectorBytes)
  for (const file of [log, platter]) closeSync(file)
}

type LogEntry = { readonly at: number; readonly sector: number; readonly count: number; readonly flags: bigint }

/** The entries behind the log's first sector: each a sector of its own, then its data. */
const entriesOf = (path: string): LogEntry[] => {
  const log = openSync(path, 'r')
  const { size } = fstatSync(log)
  const entries: LogEntry[] = []
  for (let at = sectorBytes; at < size; ) {
    const head = read(log, at, 24)
    const entry = { at: at + sectorBytes, sector: Number(head.readBigUInt64LE(0)), count: Number(head.readBigUInt64LE(8)), flags: head.readBigUInt64LE(16) }
    at = entry.at + entry.count * sectorBytes
    if (at <= size) entries.push(entry)
  }
  closeSync(log)
  return entries
}

const read = (file: number, at: number, length: number): Buffer => {
  const found = Buffer.alloc(length)
  readSync(file, found, 0, length, at)
  return found
}
