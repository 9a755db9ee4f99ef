// A network of a test's own: hosts that are network namespaces, all on one bridge, and the bridge can be told what to lose.
// Lives in namespaces of the test's process: the machine's own network never sees it, and the kernel ends all of it with that process.
import { execFileSync } from 'node:child_process'

/** Where a program can run. */
export type Host = {
  readonly name: string
  readonly address: string
  /** In front of a command: runs it there. */
  readonly enter: readonly string[]
}

export type OwnNetwork = {
  /** Where the test's own process is. */
  readonly here: Host
  add(name: string): Host
  /** From now on whatever one of `from` sends to one of `to` vanishes: nobody hears of it, connections stay open. */
  lose(from: readonly Host[], to: readonly Host[]): void
  /** Packets go again. Says how many were lost. */
  heal(): number
}

const first = `mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up && exec "$@"`

/** In front of a command: runs it in a network, and a world of processes, of its own. It is process 1 there: what it started ends with it. */
export const inOwnNetwork: readonly [string, ...string[]] = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--', 'sh', '-c', first, 'sh']

/** For a process that was started in a network of its own. */
export const openNetwork = (): OwnNetwork => {
  if (execFileSync('ip', ['-brief', 'link'], { encoding: 'utf8' }).trim().split('\n').length > 1) throw new Error('this is not a network of our own: nothing is changed in it')
  const here = { name: 'here', address: addressOf(1), enter: [] }
  ip('link', 'add', 'bridge', 'type', 'bridge')
  ip('address', 'add', `${here.address}/24`, 'dev', 'bridge')
  ip('link', 'set', 'bridge', 'up')
  nft('add table bridge wire; add set bridge wire lost { type ipv4_addr . ipv4_addr; }; add chain bridge wire through { type filter hook forward priority 0; }')
  let hosts = 1
  return {
    here,
    add: (name) => addHost(name, addressOf(++hosts)),
    lose: (from, to) => {
      nft('flush chain bridge wire through; add rule bridge wire through ip saddr . ip daddr @lost counter drop') // counts from nothing
      nft(`add element bridge wire lost { ${from.flatMap((one) => to.map((other) => `${one.address} . ${other.address}`)).join(', ')} }`)
    },
    heal: () => {
      const lost = Number(/packets (\d+)/.exec(nft('list chain bridge wire through'))?.[1] ?? 0)
      nft('flush set bridge wire lost')
      return lost
    },
  }
}

const addressOf = (n: number): string => `10.0.0.${n}`

const addHost = (name: string, address: string): Host => {
  ip('netns', 'add', name)
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'wire', 'netns', name)
  ip('link', 'set', name, 'master', 'bridge', 'up')
  ip('-netns', name, 'address', 'add', `${address}/24`, 'dev', 'wire')
  for (const link of ['lo', 'wire']) ip('-netns', name, 'link', 'set', link, 'up')
  return { name, address, enter: ['ip', 'netns', 'exec', name] }
}

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
const nft = (orders: string): string => execFileSync('nft', [orders], { encoding: 'utf8' })
