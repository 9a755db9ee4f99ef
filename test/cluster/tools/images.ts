// The images of a test cluster, as archives that a container runtime imports: ours from the real Dockerfile, and those of
// CoreDNS, nats-server and the pod's own process. No registry is asked. Needs root and buildah; touches the cache folder only.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, findNatsServer, pinnedNatsVersion } from '../../../cli/standalone/find-nats-server.ts'
import { runChild } from '../../tools/child.ts'
import { programPath, versionOf } from './build.ts'

export type Image = { readonly name: string; readonly archive: string }

/** The names that manifests of tests use. */
export const imageNames = {
  posthouse: 'posthouse.test/posthouse:current',
  nats: `posthouse.test/nats:${pinnedNatsVersion}`, // same paths as the project's own image
  coredns: `posthouse.test/coredns:${versionOf('coredns')}`,
  pause: `posthouse.test/pause:${versionOf('pause')}`,
} as const

const root = join(import.meta.dirname, '..', '..', '..')
const npmVersion = '11.21.2'
const base = 'docker.io/library/node:24-bookworm-slim'

const place = (): string => join(cacheFolder(), 'cluster', 'images')

/** All images, made where they are not there yet; ours is looked through for changes each time. */
export const makeImages = async (say: (line: string) => void): Promise<Image[]> => {
  mkdirSync(place(), { recursive: true })
  const { path: nats } = await findNatsServer({ say })
  return [
    await ofBinary(imageNames.pause, programPath('pause'), 'ENTRYPOINT ["/pause"]', say),
    await ofBinary(imageNames.coredns, programPath('coredns'), 'ENTRYPOINT ["/coredns"]', say),
    await ofBinary(imageNames.nats, nats, 'ENTRYPOINT ["/nats-server"]', say, 'nats-server'),
    await ours(say),
  ]
}

/** Builds the Dockerfile as it is. Its layers are kept, so without a change this takes a second. */
export const ours = async (say: (line: string) => void): Promise<Image> => {
  mkdirSync(place(), { recursive: true })
  await makeBase(say)
  say(`building ${imageNames.posthouse} from the Dockerfile`)
  await buildah('bud', '--isolation', 'chroot', '--pull-never', '--layers', '--tag', imageNames.posthouse, root)
  const id = (await buildah('images', '--quiet', '--no-trunc', imageNames.posthouse)).trim().replace('sha256:', '')
  const archive = join(place(), `posthouse-${id.slice(0, 16)}.tar`)
  if (existsSync(archive)) return { name: imageNames.posthouse, archive }
  for (const old of readdirSync(place()).filter((name) => /^posthouse-[0-9a-f]+\.tar$/.test(name))) rmSync(join(place(), old))
  await push(imageNames.posthouse, archive)
  // the layers of earlier builds are what makes the next one quick, until they are too many
  if ((await buildah('images', '--all', '--quiet')).split('\n').length > 300) await buildah('rmi', '--prune')
  return { name: imageNames.posthouse, archive }
}

/** The image of another release, from a folder with what its Dockerfile takes; made once. `archive`: what its file is called. */
export const ofRelease = async (name: string, folder: string, archive: string): Promise<Image> => {
  const image = { name, archive: join(place(), archive) }
  if (existsSync(image.archive)) return image
  await makeBase(() => {})
  await buildah('bud', '--isolation', 'chroot', '--pull-never', '--layers', '--tag', name, folder)
  await push(name, image.archive)
  return image
}

/** One static binary and nothing else. */
const ofBinary = async (name: string, binary: string, entry: string, say: (line: string) => void, called = name.replace(/^.*\/|:.*$/g, '')): Promise<Image> => {
  const archive = join(place(), `${name.replace(/^.*\//, '').replace(':', '-')}.tar`)
  if (existsSync(archive)) return { name, archive }
  say(`building ${name}`)
  const context = mkdtempSync(join(place(), 'context-'))
  try {
    cpSync(binary, join(context, called))
    writeFileSync(join(context, 'Dockerfile'), `FROM scratch\nCOPY ${called} /${called}\n${entry}\n`)
    await buildah('bud', '--isolation', 'chroot', '--pull-never', '--tag', name, context)
    await push(name, archive)
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
  return { name, archive }
}

/** What the Dockerfile starts from, made here: Debian's smallest, the node of our packages, and npm. */
const makeBase = async (say: (line: string) => void): Promise<void> => {
  const node = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
  if (!existsSync(node)) throw new Error('the image of tests is made with the packaged node: npm ci without --omit=optional')
  const version = (await runChild(node, ['--version'])).stdout.trim()
  const label = `${version} npm ${npmVersion}`
  if ((await buildah('inspect', '--type', 'image', '--format', '{{index .OCIv1.Config.Labels "test.base"}}', base).catch(() => '')).trim() === label) return
  say(`building the base image with debootstrap and node ${version} (once)`)
  const context = mkdtempSync(join(place(), 'context-'))
  const tree = join(context, 'tree')
  try {
    // what it mounts goes with it, however it ends
    await runChild('unshare', ['--mount', '--propagation', 'private', 'debootstrap', '--variant=minbase', 'bookworm', tree], { forMs: 600_000 })
    rmSync(join(tree, 'var/cache/apt'), { recursive: true, force: true })
    cpSync(node, join(tree, 'usr/local/bin/node'))
    await runChild('npm', ['install', '--global', '--no-audit', '--no-fund', '--prefix', join(tree, 'usr/local'), `npm@${npmVersion}`], { forMs: 300_000 })
    await npmSettings(tree)
    writeFileSync(join(context, 'Dockerfile'), `FROM scratch\nCOPY tree /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLABEL test.base="${label}"\nCMD ["node"]\n`)
    await buildah('bud', '--isolation', 'chroot', '--pull-never', '--tag', base, context)
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}

/** npm in the image asks the registry that npm on this machine asks, and trusts whom it trusts. */
const npmSettings = async (tree: string): Promise<void> => {
  const setting = async (name: string): Promise<string> => (await runChild('npm', ['config', 'get', name])).stdout.trim()
  const lines = [`registry=${await setting('registry')}`]
  const authorities = [await setting('cafile'), process.env.NODE_EXTRA_CA_CERTS ?? ''].find(existsSync)
  if (authorities !== undefined) {
    writeFileSync(join(tree, 'etc/npm-authorities.crt'), readFileSync(authorities))
    lines.push('cafile=/etc/npm-authorities.crt')
  }
  mkdirSync(join(tree, 'usr/local/etc'), { recursive: true })
  writeFileSync(join(tree, 'usr/local/etc/npmrc'), `${lines.join('\n')}\n`)
}

/** `name` → `archive`, whole or not at all. */
const push = async (name: string, archive: string): Promise<void> => {
  const half = `${archive}.${process.pid}`
  await buildah('push', name, `docker-archive:${half}:${name}`)
  renameSync(half, archive)
}

/** Its storage is ours: nobody's images are seen or touched; and so are its mounts, which it would leave behind. */
const buildah = async (command: string, ...args: string[]): Promise<string> => {
  const storage = ['--root', join(place(), 'storage'), '--runroot', join(place(), 'run'), '--storage-driver', 'overlay']
  return (await runChild('unshare', ['--mount', '--propagation', 'private', 'buildah', ...storage, command, ...args], { forMs: 900_000 })).stdout
}

export type ImageFile = { readonly path: string; readonly mode: string; readonly size: number }

/** Every file of an image with what `tar` says of it. */
export const filesOf = async ({ archive }: Image): Promise<readonly ImageFile[]> => {
  const manifest = JSON.parse((await runChild('tar', ['-xOf', archive, 'manifest.json'])).stdout) as [{ Layers: string[] }]
  const files: ImageFile[] = []
  for (const layer of manifest[0].Layers) {
    const { stdout } = await runChild('sh', ['-c', 'tar -xOf "$1" "$2" | tar -tvf - --numeric-owner', 'sh', archive, layer])
    for (const line of stdout.split('\n').filter((one) => one !== '')) {
      const [mode, , size, , , ...path] = line.split(/\s+/)
      files.push({ path: `/${path.join(' ')}`, mode: mode!, size: Number(size) })
    }
  }
  return files
}
