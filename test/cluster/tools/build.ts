// Builds the cluster's programs from the Go modules in ../servers into the cache, each version once.
// `node test/cluster/tools/build.ts [MODULE…]`: what is missing, with a line every half minute. Touches only the cache folder.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../../cli/standalone/find-nats-server.ts'

/** One Go module: whose version in go.mod is its own (or the version itself), what it makes, what the linker writes into it. */
type Module = { readonly of?: string; readonly version?: string; readonly packages: readonly string[]; readonly define?: (version: string) => Readonly<Record<string, string>> }

const modules = {
  kubernetes: {
    of: 'k8s.io/kubernetes',
    packages: ['kube-apiserver', 'kubectl', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'].map((command) => `k8s.io/kubernetes/cmd/${command}`),
    define: (version) => {
      const [major, minor] = version.split('.')
      return { 'k8s.io/component-base/version.gitVersion': `v${version}`, 'k8s.io/component-base/version.gitMajor': major!, 'k8s.io/component-base/version.gitMinor': minor!, 'k8s.io/component-base/version.gitTreeState': 'clean' }
    },
  },
  etcd: { of: 'go.etcd.io/etcd/server/v3', packages: ['posthouse.dev/test/cluster/servers/etcd'] }, // Debian's 3.4.23 tells no API server how far it is: watches of what is quiet hang after a restart
  pause: { version: '1', packages: ['posthouse.dev/test/cluster/servers/pause'] },
  coredns: { of: 'github.com/coredns/coredns', packages: ['github.com/coredns/coredns'] },
  helm: { of: 'helm.sh/helm/v3', packages: ['helm.sh/helm/v3/cmd/helm'], define: (version) => ({ 'helm.sh/helm/v3/internal/version.version': `v${version}` }) },
  kubeconform: { of: 'github.com/yannh/kubeconform', packages: ['github.com/yannh/kubeconform/cmd/kubeconform'] },
  prometheus: { of: 'github.com/prometheus/prometheus', packages: ['github.com/prometheus/prometheus/cmd/prometheus', 'github.com/prometheus/prometheus/cmd/promtool'] },
} as const satisfies Record<string, Module>

export type ModuleName = keyof typeof modules

/** What an API server needs. */
export const forApiServer: readonly ModuleName[] = ['etcd', 'kubernetes']

/** What a cluster needs, and those who install into it. */
export const forCluster: readonly ModuleName[] = [...forApiServer, 'pause', 'coredns', 'helm']

export class NotBuilt extends Error {
  readonly code = 'NOT_BUILT'
}

const sources = join(import.meta.dirname, '..', 'servers')

/** The version that go.mod pins, if it is not ours. */
export const versionOf = (name: ModuleName): string => {
  const { of, version }: Module = modules[name]
  if (version !== undefined) return version
  const line = readFileSync(join(sources, name, 'go.mod'), 'utf8')
    .split('\n')
    .map((one) => one.trim().replace(/^require /, ''))
    .find((one) => one.startsWith(`${of} v`))
  return line!.split(' ')[1]!.slice(1)
}

const folderOf = (name: ModuleName): string => join(cacheFolder(), 'cluster', `${name}-${versionOf(name)}`)
const binFolder = (name: ModuleName): string => join(folderOf(name), 'bin')

const programsOf = (name: ModuleName): string[] => modules[name].packages.map((one) => one.slice(one.lastIndexOf('/') + 1))
const moduleOf = (program: string): ModuleName => {
  const found = (Object.keys(modules) as ModuleName[]).find((name) => programsOf(name).includes(program))
  if (found === undefined) throw new NotBuilt(`no module of ${sources} makes ${program}`)
  return found
}

export const isBuilt = (name: ModuleName): boolean => programsOf(name).every((program) => existsSync(join(binFolder(name), program)))

/** Where a program is; throws with the line that builds it. */
export const programPath = (program: string): string => {
  const name = moduleOf(program)
  const path = join(binFolder(name), program)
  if (!existsSync(path)) throw new NotBuilt(`${program} ${versionOf(name)} is not built: node test/cluster/tools/build.ts ${name}`)
  return path
}

/** Builds what is missing, one module after the other; `say` hears of the work every half minute. */
export const build = async (names: readonly ModuleName[], say: (line: string) => void): Promise<void> => {
  for (const name of names.filter((one) => !isBuilt(one))) await buildOne(name, say)
}

const buildOne = async (name: ModuleName, say: (line: string) => void): Promise<void> => {
  checkGo(name)
  mkdirSync(folderOf(name), { recursive: true })
  const making = mkdtempSync(join(folderOf(name), 'making-'))
  try {
    for (const wanted of modules[name].packages) await goBuild(name, wanted, making, say)
    rmSync(binFolder(name), { recursive: true, force: true })
    renameSync(making, binFolder(name)) // all or nothing: another process may look at the same time
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

/** Static, so that one binary runs on the machine and in an image that holds nothing else. */
const goBuild = async (name: ModuleName, wanted: string, into: string, say: (line: string) => void): Promise<void> => {
  const { define }: Module = modules[name]
  const defined = Object.entries(define?.(versionOf(name)) ?? {}).map(([variable, value]) => ` -X ${variable}=${value}`)
  const args = ['build', '-v', '-trimpath', '-buildvcs=false', '-ldflags', `-s -w${defined.join('')}`, '-o', `${into}/`, wanted]
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' }
  const child = spawn('go', args, { cwd: join(sources, name), env, stdio: ['ignore', 'ignore', 'pipe'] })
  const started = Date.now()
  const told = { lines: [] as string[], last: started }
  say(`building ${wanted} ${versionOf(name)} (once)`)
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told.lines.push(...text.split('\n').filter((line) => line !== ''))
    if (Date.now() - told.last < 30_000) return
    told.last = Date.now()
    say(`  ${told.lines.length} packages after ${Math.round((told.last - started) / 1000)} s`)
  })
  const leave = (): void => void child.kill()
  process.once('exit', leave)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  process.off('exit', leave)
  if (code !== 0) throw new NotBuilt(`go build ${wanted} failed:\n${told.lines.slice(-20).join('\n')}`)
}

const checkGo = (name: ModuleName): void => {
  const wanted = /^go (\d+)\.(\d+)/m.exec(readFileSync(join(sources, name, 'go.mod'), 'utf8'))!
  const needed = `Go ${wanted[1]}.${wanted[2]} or newer is needed to build ${name}`
  const found = goVersion()
  if (found === undefined) throw new NotBuilt(`${needed}, and there is no go on PATH: https://go.dev/doc/install`)
  // from 1.21 on an older Go fetches the one that go.mod asks for, unless GOTOOLCHAIN=local forbids it; then its own words are the error
  if (found.major === 1 && found.minor < 21) throw new NotBuilt(`${needed}, and the one on PATH is ${found.major}.${found.minor}: https://go.dev/doc/install`)
}

const goVersion = (): { major: number; minor: number } | undefined => {
  try {
    const found = /go(\d+)\.(\d+)/.exec(execFileSync('go', ['version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
    return found ? { major: Number(found[1]), minor: Number(found[2]) } : undefined
  } catch {
    return undefined
  }
}

if (process.argv[1] === import.meta.filename) {
  const asked = process.argv.slice(2)
  const known = Object.keys(modules) as ModuleName[]
  const unknown = asked.filter((one) => !known.includes(one as ModuleName))
  try {
    if (unknown.length > 0) throw new NotBuilt(`no such module: ${unknown.join(', ')}; there are ${known.join(', ')}`)
    await build(asked.length > 0 ? (asked as ModuleName[]) : forCluster, console.log)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
