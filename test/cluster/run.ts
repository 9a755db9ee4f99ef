// `npm run test:cluster`: one real Kubernetes for all numbered cluster stories c-NN, from nothing, ended at the end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { runSuite, type Shared } from '../scenarios/runner.ts'
import { argumentsOf } from '../tools/arguments.ts'
import { clusterLacks, openCluster } from './tools/cluster.ts'
import { build, forCluster } from './tools/build.ts'
import { testFiles } from './tools/test-files.ts'
import { explain, offer } from './tools/shared.ts'

const usage = `npm run test:cluster             runs all cluster stories on a Kubernetes of their own (Linux, as root)
npm run test:cluster c-00        runs one (or several), by number or name
npm run test:cluster -- --list   lists them
                        --ipv6   on a cluster that has IPv6 only
                        --up     only brings the cluster up, and keeps it until Ctrl-C
                        --json   prints the results as JSON
                        --keep   keeps the folder of a story that passed
POSTHOUSE_KUBECONFIG=FILE uses a cluster that exists, with POSTHOUSE_IMAGE=NAME as our image there`

const { values: flags, positionals } = argumentsOf(usage, {
  allowPositionals: true,
  options: { list: { type: 'boolean' }, up: { type: 'boolean' }, ipv6: { type: 'boolean' }, json: { type: 'boolean' }, keep: { type: 'boolean' } },
})

const family = flags.ipv6 === true ? 'IPv6' : 'IPv4'

const share = async (say: (line: string) => void): Promise<Shared> => {
  const cluster = await openCluster(say, family)
  return { env: await offer(cluster), explain: (folder) => explain(cluster, folder), stop: (passed) => cluster.stop({ keepLogs: !passed }) }
}

const keepUp = async (): Promise<number> => {
  const lacks = clusterLacks()
  for (const lack of lacks) console.error(`not here: ${lack}`)
  if (lacks.length > 0) return 1
  const cluster = await openCluster(console.log, family)
  console.log(`\nexport KUBECONFIG=${cluster.kubeconfig}\nour image there is ${cluster.images.posthouse}, NATS is ${cluster.images.nats}; Ctrl-C ends the cluster`)
  await Promise.race(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal)))
  await cluster.stop()
  return 0
}

if (flags.up !== true) {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}
/** First what needs an API server at most: it is quick, and says more precisely what is wrong. */
const onApiServer = (): Promise<number> =>
  new Promise((resolve, reject) => {
    spawn(process.execPath, ['--test', '--test-timeout=240000', ...testFiles()], { stdio: 'inherit' }).once('error', reject).once('exit', (code) => resolve(code ?? 1))
  })

const everything = positionals.length === 0 && flags.list !== true && flags.up !== true && flags.json !== true
if (everything && clusterLacks().length === 0) {
  if (!process.env.POSTHOUSE_KUBECONFIG) {
    await build([...forCluster, 'kubeconform', 'prometheus'], console.log)
    if ((await onApiServer()) !== 0) process.exit(1)
  }
}
process.exit(flags.up === true ? await keepUp() : await runSuite({ home: import.meta.dirname, command: 'npm run test:cluster', usage, atOnce: 1, flags, positionals, byDefault: (all) => (flags.list === true ? undefined : all), share }))
