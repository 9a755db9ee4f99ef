// The ground under all cluster stories: our image as it is, in pods as locked up as they will be, and a network in which names are found.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileFolder } from '../../../cli/standalone/compile.ts'
import packageJson from '../../../package.json' with { type: 'json' }
import { writeSnapshot } from '../../../relay/snapshot/index.ts'
import { copyManifests } from '../../tools/relay-process.ts'
import type { Ctx, Story } from '../../scenarios/story.ts'
import { until } from '../../tools/until.ts'
import { filesOf, type Image } from '../tools/images.ts'
import { joinCluster, type Joined } from '../tools/shared.ts'

const namespace = 'c-00'

export const story: Story = {
  title: 'One pod from our image runs and answers, and the image holds no shell and no package manager',
  needs: ['cluster'],
  limitSeconds: 300,
  async run(ctx) {
    const cluster = joinCluster()
    if (cluster.own) await lookInside(cluster.own.image, ctx)
    else ctx.without('the files of the image, which only a cluster of our own shows: that it holds no shell and no package manager')
    await makeNamespace(cluster, ctx)
    await runToTheirEnd(cluster, ctx)
    await answers(cluster, ctx)
  },
}

/** Nothing that could run what an intruder brings, but node itself. */
const lookInside = async (image: Image, ctx: Ctx): Promise<void> => {
  ctx.step('the files of the image')
  const files = await filesOf(image)
  const names = files.map(({ path }) => path)
  ctx.note('files of the image', files.length)
  const megabytes = files.reduce((sum, { size }) => sum + size, 0) / 1e6
  ctx.note('size of the image, MB', Math.round(megabytes))
  assert.ok(megabytes < 220, `docs/install.md says less than 220 MB, and these are ${megabytes.toFixed(0)}`)
  const shells = /\/(ba|da|a|z|k|c|tc|fi)?sh$|\/busybox$|\/toybox$|\/(apt|apt-get|dpkg|rpm|apk|yum|dnf|npm|npx|yarn|pnpm|corepack|pip|curl|wget|perl|python3?)$/
  assert.deepEqual(names.filter((path) => shells.test(path)), [])
  // what may be executed: node, the loader and the C library (which says its version)
  const executable = files.filter(({ mode }) => mode.startsWith('-') && mode.includes('x')).map(({ path }) => path.replace(/^.*\//, ''))
  assert.deepEqual(executable.filter((name) => !/^(node|ld-linux.*|libc\.so\.6)$/.test(name)), [])
  assert.deepEqual(files.filter(({ mode }) => /^-.*[st]/.test(mode) || /^-.{7}w/.test(mode)), [], 'setuid, or writable for all')
  for (const wanted of ['/app/cli/main.ts', '/app/relay/main.ts', '/app/operator/', '/app/crds/', '/app/sbom.spdx.json', '/etc/ssl/certs/ca-certificates.crt']) assert.ok(names.includes(wanted), `${wanted} is missing`)
  assert.deepEqual(names.filter((path) => path.startsWith('/app/') && !path.includes('/node_modules/') && path.endsWith('.test.ts')), [])
  assert.deepEqual(names.filter((path) => /\/node_modules\/(node-linux-|node-darwin-|typescript|oxlint)/.test(path)), [])
}

const makeNamespace = async ({ kubectl }: Joined, ctx: Ctx): Promise<void> => {
  ctx.step('a namespace that lets in only restricted pods')
  await kubectl('delete', 'namespace', namespace, '--ignore-not-found')
  await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } })
  ctx.cleanup(() => kubectl.may('delete', 'namespace', namespace, '--wait=false'))
  await until('its account is there', async () => (await kubectl.may('get', 'serviceaccount', 'default', '-n', namespace)).code === 0)
}

const runToTheirEnd = async (cluster: Joined, ctx: Ctx): Promise<void> => {
  ctx.step('pods run to their end and say what they should')
  await cluster.kubectl.apply(pod(cluster, 'version', '--version'), pod(cluster, 'help', 'relay', '--help'), pod(cluster, 'wrong', 'no-such-command'))
  assert.equal(await saidBy(cluster, 'version', 0), `${packageJson.version}\n`)
  assert.match(await saidBy(cluster, 'help', 0), /^Usage: posthouse relay/)
  assert.match(await saidBy(cluster, 'wrong', 2), /unknown command/)
}

const answers = async (cluster: Joined, ctx: Ctx): Promise<void> => {
  const { kubectl, images } = cluster
  ctx.step('a relay finds its queue by name, becomes ready, and answers through its Service')
  await kubectl.apply(await snapshotSecret(ctx))
  const manifests = readFileSync(join(ctx.home, 'pods.yaml'), 'utf8').replace('POSTHOUSE_IMAGE', images.posthouse).replace('NATS_IMAGE', images.nats)
  await kubectl.applyText(manifests, '-n', namespace)
  const started = Date.now()
  await kubectl('wait', '--for=condition=Ready', '--timeout=300s', '-n', namespace, 'pod/relay')
  ctx.note('seconds until the relay was ready', ((Date.now() - started) / 1000).toFixed(1))
  const talk = await until('the relay answers a pod that knows it by name', () => askedBy(cluster, `asking-${Date.now()}`), 60_000, 500)
  assert.match(talk, /220 relay\.example/)
  assert.match(talk, /250[- ]relay\.example/)

  ctx.step('process 1 is the relay itself, with its flags; the CLI is called beside it without a shell')
  const [node, posthouse] = ['/usr/local/bin/node', '/app/bin/posthouse.mjs']
  const exec = (...command: string[]) => kubectl.may('exec', '-n', namespace, 'relay', '--', ...command)
  const first = await exec(node, '-p', 'fs.readFileSync("/proc/1/cmdline", "utf8").replaceAll("\\0", " ") + process.getuid()')
  assert.match(first.output, /^\/usr\/local\/bin\/node .*--max-old-space-size=384 .*\/app\/cli\/main\.ts relay .*10001$/m)
  assert.equal((await exec(node, posthouse, 'queue', '--socket', '/run/posthouse/admin.sock')).code, 0)
  assert.notEqual((await exec('sh', '-c', 'true')).code, 0)
  assert.notEqual((await exec(node, '-e', 'fs.writeFileSync("/app/x", "")')).code, 0)

  ctx.step('told to end, it ends by itself')
  const ending = Date.now()
  await kubectl('delete', 'pod', 'relay', '-n', namespace, '--grace-period=60')
  assert.ok(Date.now() - ending < 50_000, 'it had to be killed')
}

/** A Service follows its pods with a moment's delay; until then it refuses. */
const askedBy = async (cluster: Joined, name: string): Promise<string> => {
  await cluster.kubectl.apply(pod(cluster, name, 'talk', `relay.${namespace}.svc.cluster.local:25`, 'EHLO asking.example', 'QUIT'))
  return saidBy(cluster, name, 0)
}

/** As the operator will make it: the parts and the index as files of one Secret. */
const snapshotSecret = async (ctx: Ctx): Promise<object> => {
  const folder = join(ctx.folder, 'snapshot')
  const manifests = copyManifests(ctx.home, join(ctx.folder, 'manifests'))
  writeSnapshot(folder, await compileFolder(join(manifests, 'relay.yaml'), join(ctx.folder, 'data')))
  const stringData = Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')]))
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'snapshot', namespace }, stringData }
}

const pod = ({ images }: Joined, name: string, ...args: readonly string[]): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      { name: 'posthouse', image: images.posthouse, imagePullPolicy: 'IfNotPresent', args, securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } } },
    ],
  },
})

type Ended = { status: { containerStatuses?: [{ state: { terminated?: { exitCode: number } } }] } }

/** The log of a pod that ended with that code. */
const saidBy = async ({ kubectl }: Joined, name: string, code: number): Promise<string> => {
  const ended = await until(`pod ${name} has ended`, async () => (await kubectl.json<Ended>('get', 'pod', name, '-n', namespace)).status.containerStatuses?.[0].state.terminated, 240_000, 300)
  const said = await kubectl('logs', name, '-n', namespace)
  assert.equal(ended.exitCode, code, said)
  return said
}
