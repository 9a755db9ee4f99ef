// What a scenario may need beside this checkout: how to see that it is there, and the line that installs it.
import { execFileSync } from 'node:child_process'
import { clusterLacks } from '../cluster/tools/cluster.ts'
import { eximIsHere } from '../tools/exim.ts'
import { inOwnNetwork } from '../tools/own-network.ts'
import { postfixIsHere } from '../tools/postfix.ts'
import { virtualMachineIsHere } from '../tools/virtual-machine.ts'

export type Need = 'root' | 'postfix' | 'exim' | 'swaks' | 'dkimpy' | 'openssl' | 'qemu' | 'own network' | 'cluster' | 'own cluster'

const succeeds = (command: string, ...args: string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 20_000 })
    return true
  } catch {
    return false
  }
}

const isRoot = (): boolean => process.getuid?.() === 0

export const needs: Readonly<Record<Need, { readonly isHere: () => boolean; readonly install: string }>> = {
  root: { isHere: isRoot, install: 'run it as root' },
  // its master and its queue want an owner of their own, so root has to start it
  postfix: { isHere: () => isRoot() && postfixIsHere(), install: 'apt-get install --no-install-recommends postfix, and run it as root' },
  exim: { isHere: () => isRoot() && eximIsHere(), install: 'bash .ci/run packages, as root (exim4-daemon-light beside postfix)' },
  swaks: { isHere: () => succeeds('swaks', '--version') && succeeds('perl', '-MNet::SSLeay', '-e', '1'), install: 'apt-get install swaks libnet-ssleay-perl' },
  dkimpy: { isHere: () => succeeds('/usr/bin/python3', '-c', 'import dkim, nacl'), install: 'apt-get install python3-dkim python3-nacl' },
  openssl: { isHere: () => succeeds('openssl', 'version'), install: 'apt-get install openssl' },
  qemu: { isHere: virtualMachineIsHere, install: 'bash .ci/run packages, as root (qemu-system-x86, and a kernel beside it); on x86-64 only' },
  // the runner starts it in namespaces of its own, where it makes hosts and loses packets between them
  'own network': { isHere: () => isRoot() && succeeds(...inOwnNetwork, 'nft', 'list ruleset'), install: 'apt-get install iproute2 nftables util-linux, and run it as root' },
  // its processes are killed, its API server is stopped, and load reaches it from outside
  'own cluster': {
    isHere: () => !process.env.POSTHOUSE_KUBECONFIG && clusterLacks().length === 0,
    get install() {
      return process.env.POSTHOUSE_KUBECONFIG ? 'run it without POSTHOUSE_KUBECONFIG: it does harm to the cluster, or is its DNS' : clusterLacks().join('; ') || 'it is here'
    },
  },
  cluster: {
    isHere: () => clusterLacks().length === 0,
    get install() {
      return clusterLacks().join('; ') || 'it is here'
    },
  },
}

/** Of the needs named, those that are not met. */
export const missing = (wanted: readonly Need[], known = new Map<Need, boolean>()): Need[] =>
  wanted.filter((need) => {
    if (!known.has(need)) known.set(need, needs[need].isHere())
    return known.get(need) === false
  })
