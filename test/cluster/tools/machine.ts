// A machine within the machine: namespaces of mounts, network and processes for one node of a cluster, tied to our life by a
// pipe: when we end, however we end, the kernel ends all that runs in it. What is changed outside: one veth pair, one route, one folder of cgroups.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startChild, type Child } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'

export type Machine = {
  /** Of its first process, as seen from here; `nsenter --target` takes it. */
  readonly pid: number
  readonly net: Net
  /** Where its cgroups are, for kubelet. */
  readonly cgroup: string
  /** Its /var, /run and logs, as seen from here. */
  readonly folder: string
  /** Starts a program in it. */
  launch(name: string, command: string, args: readonly string[]): Child
  /** Its programs that run no more, each with its last words. */
  ended(): string[]
  stop(): Promise<void>
}

export type Family = 'IPv4' | 'IPv6'

/** One range that nobody here uses: pods first, then Services, then the link between us and the node. */
export type Net = { readonly family: Family; readonly all: string; readonly pods: string; readonly services: string; readonly dns: string; readonly host: string; readonly node: string }

const netOf = (family: Family, n: number): Net =>
  family === 'IPv4'
    ? { family, all: `10.${n}.0.0/16`, pods: `10.${n}.0.0/17`, services: `10.${n}.128.0/18`, dns: `10.${n}.128.10`, host: `10.${n}.255.1`, node: `10.${n}.255.2` }
    : { family, all: `fd00:10:${n}::/48`, pods: `fd00:10:${n}:1::/64`, services: `fd00:10:${n}:2::/112`, dns: `fd00:10:${n}:2::a`, host: `fd00:10:${n}:3::1`, node: `fd00:10:${n}:3::2` }

export const startMachine = async (folder: string, family: Family): Promise<Machine> => {
  sweepCgroups()
  const cgroup = makeCgroups()
  const net = freeNet(family)
  for (const name of ['run', 'var-lib', 'var-log', 'etc-cni', 'sysctl']) mkdirSync(join(folder, name), { recursive: true, mode: 0o755 })
  const first = startFirst(folder)
  const stop = async (): Promise<void> => {
    first.process.stdin.end()
    first.process.kill('SIGKILL') // unshare --kill-child takes the rest along
    await first.ended
    await until('the cgroups of the cluster are empty', () => removeCgroups(cgroup), 20_000, 200).catch((error: unknown) => console.error(String(error)))
  }
  try {
    const pid = await until('the namespaces of the node are there', () => first.pid(), 20_000)
    wire(pid, net)
    const launched = new Map<string, Child>()
    const launch = (name: string, command: string, args: readonly string[]): Child => {
      const child = startChild('nsenter', ['--target', String(pid), '--mount', '--net', '--pid', '--uts', '--ipc', '--', command, ...args], { log: join(folder, `${name}.log`) })
      launched.set(name, child)
      return child
    }
    const ended = (): string[] => [...launched].filter(([name, child]) => name !== 'ctr' && !child.running()).map(([name, child]) => `${name} has ended: ${child.output().trim().split('\n').slice(-3).join(' | ').slice(-600)}`)
    return { pid, net, cgroup: `/${cgroup}`, folder, launch, ended, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Its process 1: makes the mounts, then waits for the end of its input. bash, for it buries orphans. */
const startFirst = (folder: string) => {
  const script = `set -e
    mount --make-rshared /
    mount --bind "$1/run" /run
    mount --bind "$1/var-lib" /var/lib
    mount --bind "$1/var-log" /var/log
    hostname posthouse-node
    ip link set lo up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    [ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    for knob in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
      [ -e "/proc/sys/$knob" ] || continue
      copy="$1/sysctl/$(basename "$knob")"
      cat "/proc/sys/$knob" >"$copy"
      mount --bind "$copy" "/proc/sys/$knob"
    done
    echo ready
    cat >/dev/null`
  // kubelet sets those knobs for the whole machine: here it writes into copies
  const unshare = ['--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  const process = spawn('unshare', [...unshare, 'bash', '-c', script, 'bash', folder], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  let said = ''
  for (const stream of [process.stdout, process.stderr]) stream.setEncoding('utf8').on('data', (text: string) => void (said += text))
  process.stdin.on('error', () => {})
  const ended = new Promise<void>((resolve) => process.once('close', () => resolve()))
  const pid = (): number | undefined => {
    if (process.exitCode !== null) throw new Error(`no namespaces could be made: ${said}`)
    if (!said.includes('ready')) return undefined
    return Number(readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim())
  }
  return { process, ended, pid }
}

/** The only way in or out of the node is this link: it has no other route, and nothing is masqueraded. */
const wire = (pid: number, { family, all, services, host, node }: Net): void => {
  const link = `posthouse-${all.split(/[.:]+/)[family === 'IPv4' ? 1 : 2]}`
  const [bits, ...unasked] = family === 'IPv4' ? ['24'] : ['64', 'nodad'] // nobody else is on this link
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', String(pid))
  ip('address', 'add', `${host}/${bits}`, 'dev', link, ...unasked)
  ip('link', 'set', link, 'up')
  ip('route', 'add', all, 'via', node)
  const inside = (...args: string[]): void => void execFileSync('nsenter', ['--target', String(pid), '--net', 'ip', ...args])
  inside('address', 'add', `${node}/${bits}`, 'dev', 'uplink', ...unasked)
  inside('link', 'set', 'uplink', 'up')
  inside('route', 'add', services, 'via', host) // what the node itself sends to a Service is turned round before it leaves
}

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

/** The first of fifty that no route or address of this machine mentions. */
const freeNet = (family: Family): Net => {
  const taken = `${ip('route', 'show', 'table', 'all')}\n${ip('-brief', 'address')}`
  for (let n = 201; n < 251; n++) if (!new RegExp(`\\b(10\\.${n}\\.|fd00:10:${n}:)`).test(taken)) return netOf(family, n)
  throw new Error('every range from 10.201.0.0/16 to 10.250.0.0/16 is in use on this machine')
}

const cgroups = '/sys/fs/cgroup'
const hierarchies = (): string[] => (existsSync(join(cgroups, 'cgroup.controllers')) ? [cgroups] : readdirSync(cgroups, { withFileTypes: true }).filter((one) => one.isDirectory()).map(({ name }) => join(cgroups, name)))

/** A folder in each hierarchy, named after us. */
const makeCgroups = (): string => {
  const name = `posthouse-${process.pid}`
  for (const hierarchy of hierarchies()) {
    const mine = join(hierarchy, name)
    mkdirSync(mine, { recursive: true })
    for (const setting of ['cpuset.cpus', 'cpuset.mems']) if (existsSync(join(mine, setting)) && existsSync(join(hierarchy, 'cpuset.cpus'))) writeFileSync(join(mine, setting), readFileSync(join(hierarchy, setting)))
  }
  return name
}

/** True when none is left. */
const removeCgroups = (name: string): boolean => hierarchies().map((hierarchy) => removeTree(join(hierarchy, name))).every(Boolean)

const removeTree = (folder: string): boolean => {
  if (!existsSync(folder)) return true
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name))
  try {
    rmdirSync(folder)
    return true
  } catch {
    return false // a process in it has not quite ended
  }
}

/** What runs left that were killed: their processes are gone with their pipe, their empty cgroups are not. */
const sweepCgroups = (): void => {
  for (const hierarchy of hierarchies())
    for (const name of readdirSync(hierarchy)) {
      const [, pid] = /^posthouse-(\d+)$/.exec(name) ?? []
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeTree(join(hierarchy, name))
    }
}
