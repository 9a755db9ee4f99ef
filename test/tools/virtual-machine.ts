// The machine under the queue, to be cut from its power: the real nats-server alone in a virtual machine, on a Linux of its own
// whose page cache dies with it. Emulated (TCG), so that it runs where no KVM is; kernel and busybox are those that .ci/run unpacked.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, findNatsServer } from '../../cli/standalone/find-nats-server.ts'
import { freePort } from '../../cli/standalone/nats-process.ts'
import { startChild, type Child } from './child.ts'
import { executable, folder as folderOf, initramfs } from './initramfs.ts'
import type { Chance } from './mails.ts'
import { sleep, until } from './until.ts'
import { createVolatileDisk, type Cut, type VolatileDisk } from './volatile-disk.ts'

export type VirtualMachine = {
  readonly urls: readonly string[]
  readonly monitorUrls: readonly string[]
  /** Boots it from its disk as that is; resolves with the seconds until JetStream is there. */
  powerOn(): Promise<number>
  /** Its memory is gone, and of what it wrote to its disk without a flush, any part. */
  cutPower(): Promise<Cut>
  stop(): Promise<void>
}

const qemu = 'qemu-system-x86_64'
const debian = join(cacheFolder(), 'debian')
const busybox = join(debian, 'bin/busybox')
const kernel = (): string | undefined => (existsSync(join(debian, 'boot')) ? readdirSync(join(debian, 'boot')).findLast((name) => name.startsWith('vmlinuz-')) : undefined)

export const virtualMachineIsHere = (): boolean => {
  try {
    execFileSync(qemu, ['--version'], { stdio: 'ignore', timeout: 10_000 })
    return process.arch === 'x64' && kernel() !== undefined && existsSync(busybox)
  } catch {
    return false
  }
}

export const createVirtualMachine = async ({ folder, random, syncInterval }: { folder: string; random: Chance; syncInterval: 'always' | '2m' }): Promise<VirtualMachine> => {
  mkdirSync(folder, { recursive: true })
  const [port, monitorPort] = [await freePort(), await freePort()]
  const monitorUrl = `http://127.0.0.1:${monitorPort}`
  const system = join(folder, 'initramfs')
  writeFileSync(system, await smallSystem())
  const disk = await createVolatileDisk(folder, random)
  const forward = [`hostfwd=tcp:127.0.0.1:${port}-:4222`, `hostfwd=tcp:127.0.0.1:${monitorPort}-:8222`].join(',')
  const hardware = ['-M', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', '512', '-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot']
  // one request of the guest, one write: merged ones can be longer than what the log takes at once
  const block = ['-device', 'virtio-blk-pci,drive=disk,logical_block_size=4096,physical_block_size=4096,discard=off,write-zeroes=off,request-merging=off']
  const network = ['-netdev', `user,id=net,restrict=on,${forward}`, '-device', 'virtio-net-pci,netdev=net,romfile=']
  let machine: Child | undefined
  return {
    urls: [`nats://127.0.0.1:${port}`],
    monitorUrls: [monitorUrl],
    powerOn: async () => {
      await disk.insert()
      const began = performance.now()
      const boot = ['-kernel', join(debian, 'boot', kernel()!), '-initrd', system, '-append', `quiet console=ttyS0 panic=-1 mitigations=off sync_interval=${syncInterval}`]
      const child = startChild(qemu, [...hardware, ...disk.options, ...block, ...network, ...boot], { log: join(folder, 'console.log') })
      machine = child
      await until('JetStream in the virtual machine', () => answers(child, monitorUrl), 240_000)
      return (performance.now() - began) / 1000
    },
    cutPower: async () => {
      if (!machine) throw new Error('the virtual machine is not on')
      await untilUnflushed(machine, disk, random)
      await die(machine)
      assert.doesNotMatch(machine.output(), /I\/O error|EXT4-fs (error|warning)/, 'its disk failed while it had power')
      return disk.losePower()
    },
    stop: async () => machine && die(machine),
  }
}

const answers = async (machine: Child, monitorUrl: string): Promise<boolean> => {
  if (!machine.running()) throw new Error(`it ended:\n${machine.output().slice(-4000)}`)
  return (await fetch(`${monitorUrl}/healthz?js-server-only=true`, { signal: AbortSignal.timeout(5000) })).ok
}

/** Leaves it standing still at a moment that may hurt: something is on its disk that is not flushed. Where none comes soon, at any. */
const untilUnflushed = async (machine: Child, disk: VolatileDisk, random: Chance): Promise<void> => {
  for (let look = 0; look < 100; look++) {
    await standStill(machine)
    if (disk.unflushed() > 0) return
    machine.signal('SIGCONT')
    await sleep(random.below(20))
  }
}

/** Still first: a killed process may leave a write half done in the log, which no disk would do to what it held before. */
const die = async (machine: Child): Promise<void> => {
  await standStill(machine)
  machine.signal('SIGKILL')
  await machine.exited
}

const standStill = async (machine: Child): Promise<void> => {
  const tasks = `/proc/${machine.pid}/task`
  machine.signal('SIGSTOP')
  await until('every thread to be stopped', () => !machine.running() || readdirSync(tasks).every((task) => readFileSync(join(tasks, task, 'stat'), 'latin1').includes(') T ')), 10_000, 2)
}

// in the order of their needs; the rest of what it takes is built into Debian's kernel
const modules = ['drivers/virtio/virtio_ring', 'drivers/virtio/virtio', 'drivers/virtio/virtio_pci_modern_dev', 'drivers/virtio/virtio_pci_legacy_dev', 'drivers/virtio/virtio_pci', 'drivers/block/virtio_blk', 'net/core/failover', 'drivers/net/net_failover', 'drivers/net/virtio_net']

const smallSystem = async (): Promise<Buffer> => {
  const { path: natsServer } = await findNatsServer()
  const from = join(debian, 'lib/modules', kernel()!.replace('vmlinuz-', ''), 'kernel')
  return initramfs([
    ...['bin', 'dev', 'proc', 'data', 'modules'].map(folderOf),
    executable('init', Buffer.from(init)),
    executable('bin/busybox', readFileSync(busybox)),
    executable('bin/nats-server', standsAlone(natsServer)),
    ...modules.map((name, index) => executable(`modules/${index}.ko`, readFileSync(join(from, `${name}.ko`)))),
  ])
}

/** The machine has no libraries: without its loader the kernel says of a program only that it is not there. */
const standsAlone = (path: string): Buffer => {
  const program = readFileSync(path)
  if (program.subarray(0, 8_192).includes('/ld-')) throw new Error(`${path} is linked against libraries: this scenario needs one built with CGO_ENABLED=0`)
  return program
}

// sync_interval is in its environment, as every word of the kernel's command line that the kernel does not know
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
mount -t ext4 /dev/vda /data
cat >/nats.conf <<END
listen: 0.0.0.0:4222
http: 0.0.0.0:8222
server_name: virtual
max_payload: 1MB
jetstream { store_dir: /data, sync_interval: "$sync_interval" }
END
exec nats-server -c /nats.conf
`
