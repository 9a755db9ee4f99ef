// The commands of the runbooks as a person on call pastes them: kubectl knows what they ask for, and what they select is there.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createMetrics, startHttp } from '../../relay/report/index.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { isBuilt } from './tools/build.ts'
import { renderObjects } from './tools/chart.ts'
import { kubectlOf, type Kubectl } from './tools/kubectl.ts'
import { startOperatorWorld, type OperatorWorld } from './tools/operator.ts'

const docs = join(import.meta.dirname, '../../docs')
const pages = [...readdirSync(join(docs, 'runbooks')).map((name) => `runbooks/${name}`), 'dns-records.md']

type Command = { readonly page: string; readonly words: readonly string[] }

/** Each line of a shell block that begins with kubectl, without what it is piped into and what is said beside it. */
const commandsOf = (page: string): Command[] =>
  [...readFileSync(join(docs, page), 'utf8').matchAll(/```sh\n(.*?)```/gs)]
    .flatMap(([, block]) => block!.split('\n'))
    .filter((line) => /^kubectl (?!posthouse)/.test(line))
    .map((line) => ({ page, words: wordsOf(line) }))

const wordsOf = (line: string): string[] => {
  const words = [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word)
  const end = words.findIndex((word) => ['|', '&', '#'].includes(word))
  return words.slice(1, end < 0 ? words.length : end).map((word) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'))
}

const commands = pages.flatMap(commandsOf)
const valueOf = (words: readonly string[], flag: string): string | undefined => (words.includes(flag) ? words[words.indexOf(flag) + 1] : undefined)

const lacks = [...apiServerLacks(), ...(['kubernetes', 'helm'] as const).filter((name) => !isBuilt(name))]
describe('the commands of the runbooks', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let world: OperatorWorld
  let kubectl: Kubectl
  before(async () => {
    world = await startOperatorWorld(['mail', 'posthouse'])
    kubectl = kubectlOf(world.api.kubeconfig)
    await world.save('MailRelay', 'main', { hostname: 'mx.example' })
    for (const name of ['browncow', 'name']) await world.save('MailDomain', name, { domain: `${name}.example` })
    await until('a pod of the queue', async () => (await kubectl.may('get', 'pod', 'main-queue-0', '-n', 'mail')).code === 0, 60_000, 200)
    await until('a pod of the relay', async () => (await relayPod()) !== undefined, 60_000, 200)
  })
  after(() => world.stop())

  const relayPod = async (): Promise<string | undefined> => (await kubectl('get', 'pods', '-n', 'mail', '-l', 'app.kubernetes.io/component=relay', '-o', 'jsonpath={.items[0].metadata.name}').catch(() => '')) || undefined

  it('are at least 60', () => assert.ok(commands.length >= 60, String(commands.length)))

  it('that get or describe end with 0 in a cluster that has nothing but Posthouse', async () => {
    const pod = (await relayPod())!
    const looks = commands.filter(({ words }) => ['get', 'describe'].includes(words[0]!) && !words.includes('--raw'))
    const unlike = new Map(looks.map((command) => [command.words.join(' '), command]))
    const faults: string[] = []
    for (const { page, words } of unlike.values()) {
      const { code, output } = await kubectl.may(...words.map((word) => (word === 'POD' ? pod : word === 'NAME' ? 'name' : word)))
      if (code !== 0) faults.push(`${page}: kubectl ${words.join(' ')}: ${output.trim()}`)
    }
    assert.ok(unlike.size >= 15)
    assert.deepEqual(faults, [])
  })

  it('select pods and volumes that are there, by labels that the operator and the chart give', async () => {
    const operators = (await renderObjects({})).filter(({ kind }) => kind === 'Deployment').map(({ spec }) => (spec as { template: { metadata: { labels: Record<string, string> } } }).template.metadata.labels)
    for (const { page, words } of commands) {
      const [selector, namespace] = [valueOf(words, '-l'), valueOf(words, '-n')]
      if (selector === undefined || namespace === 'kube-system') continue
      const wanted = selector.split(',').map((one) => one.split('=') as [string, string])
      const found = namespace === 'posthouse' ? operators.filter((labels) => wanted.every(([label, value]) => labels[label] === value)).length : (await kubectl('get', words[1] === 'pvc' ? 'pvc' : 'pods', '-n', namespace!, '-l', selector, '-o', 'name')).split('\n').length - 1
      assert.ok(found > 0, `${page}: kubectl ${words.join(' ')} selects nothing`)
    }
  })

  it('that ask a pod through the API server print why it is not ready: kubectl shows nothing of an answer 503', async () => {
    const metrics = createMetrics('mail/main')
    const readiness = { ready: false, reason: 'the queue does not answer' }
    const http = await startHttp({ host: '127.0.0.1', port: 0, metrics, readiness: () => readiness, beforeScrape: () => {}, status: async () => ({ ready: readiness }) })
    try {
      const raw = commands.filter(({ words }) => words.includes('--raw')).flatMap(({ page, words }) => words.flatMap((word) => (word.includes(':9464/proxy/') ? [[page, word.split('/proxy')[1]!]] : [])))
      assert.ok(raw.length >= 3)
      for (const [page, path] of raw) assert.match((await kubectl.may('--server', `http://127.0.0.1:${http.port}`, 'get', '--raw', path!)).output, /the queue does not answer/, `${page}: ${path}`)
    } finally {
      await http.close()
    }
  })
})
