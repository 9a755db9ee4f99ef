// The small system of a virtual machine as one archive that the kernel unpacks into memory (cpio, format "newc"). Pure.

export type Entry = { readonly name: string; readonly mode: number; readonly data?: Buffer }

export const folder = (name: string): Entry => ({ name, mode: 0o040755 })
export const executable = (name: string, data: Buffer): Entry => ({ name, mode: 0o100755, data })

export const initramfs = (entries: readonly Entry[]): Buffer => Buffer.concat([...entries, { name: 'TRAILER!!!', mode: 0 }].flatMap(packed))

const packed = ({ name, mode, data = Buffer.alloc(0) }: Entry, index: number): Buffer[] => {
  const path = Buffer.from(`${name}\0`)
  const [inode, links, noOne, noTime, noDevice] = [index + 1, 1, 0, 0, 0]
  const fields = [inode, mode, noOne, noOne, links, noTime, data.length, noDevice, noDevice, noDevice, noDevice, path.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return [padded(Buffer.concat([header, path])), padded(data)]
}

const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc(-data.length & 3)])
