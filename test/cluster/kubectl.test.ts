// What a person with kubectl sees of the kinds: explain, get, field selectors, scale. The operator on a real API server.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { jsonSchemaOf, kinds, type JsonSchema } from '../../crds/index.ts'
import { resources } from '../../operator/plan/index.ts'
import { until } from '../tools/until.ts'
import { apiServerLacks } from './tools/api-server.ts'
import { isBuilt } from './tools/build.ts'
import { enforced, kubectlOf, type Kubectl } from './tools/kubectl.ts'
import { resourceOf, startOperatorWorld, type OperatorWorld } from './tools/operator.ts'

/** Every field with members, as `mailrelay.spec.listeners`. */
const placesOf = (schema: JsonSchema, path: string): (readonly [string, JsonSchema])[] => {
  const inner = schema.items ?? schema
  return [[path, schema], ...Object.entries(inner.properties ?? {}).filter(([, field]) => (field.items ?? field).properties).flatMap(([name, field]) => placesOf(field, `${path}.${name}`))]
}
const flat = (text: string): string => text.replaceAll(/\s+/g, ' ')

const lacks = [...apiServerLacks(), ...(isBuilt('kubernetes') ? [] : ['kubectl'])]
describe('kubectl with the 6 kinds', { skip: lacks.length > 0 && lacks.join('; ') }, () => {
  let world: OperatorWorld
  let kubectl: Kubectl
  before(async () => {
    world = await startOperatorWorld(['mail', 'shop'])
    kubectl = kubectlOf(world.api.kubeconfig)
    await world.save('MailRelay', 'main', { hostname: 'mx.example' })
    await world.save('MailRelay', 'other', { hostname: 'mx2.example' })
    await world.save('MailDomain', 'browncow', { domain: 'browncow.example', relayRefs: [{ name: 'main' }] })
    await world.save('MailSender', 'app', { relayRef: { name: 'main' }, from: ['a@browncow.example'] })
    await world.save('RelayPolicy', 'house', { targetRefs: [{ kind: 'MailRelay', name: 'main' }], rules: [{ name: 'no', match: { rcptTo: ['*@far.example'] }, action: 'Deny' }] })
    await world.save('DeliveryRoute', 'partner', { match: { recipientDomains: ['partner.example'] }, nextHops: [{ smarthost: { host: 'smtp.partner.example' } }] })
    await world.save('RetrySchedule', 'patient', { attempts: ['1m'], giveUpAfter: '5d' })
    for (const [kind, name] of [['MailDomain', 'browncow'], ['RelayPolicy', 'house'], ['DeliveryRoute', 'partner'], ['RetrySchedule', 'patient']] as const) await world.becomes(kind, name, 'Ready', 'Ready')
  })
  after(() => world.stop())

  for (const kind of kinds) {
    it(`explains ${kind.kind} with the words of the manual`, async () => {
      const { properties } = jsonSchemaOf(kind)
      const places = (['spec', 'status'] as const).flatMap((part) => placesOf(properties![part]!, `${kind.singular}.${part}`))
      const chosen = places.filter((_, index) => index < 4 || index % 9 === 0) // one kubectl each
      for (const [path, schema] of chosen) {
        const told = flat(await kubectl('explain', path))
        for (const [name, field] of Object.entries((schema.items ?? schema).properties ?? {})) assert.ok(told.includes(flat(field.description!)), `${path} explains ${name}: ${told.slice(0, 500)}`)
      }
    })
  }

  it('gets all 6 kinds as category mail by 1 command, and each by its short name with Ready in a column', async () => {
    const all = await kubectl('get', 'mail', '-n', 'mail')
    for (const name of ['mailrelay.posthouse.dev/main', 'maildomain.posthouse.dev/browncow', 'mailsender.posthouse.dev/app', 'relaypolicy.posthouse.dev/house', 'deliveryroute.posthouse.dev/partner', 'retryschedule.posthouse.dev/patient']) assert.ok(all.includes(name), `${name} in\n${all}`)
    for (const { shortName } of kinds) assert.match(await kubectl('get', shortName, '-n', 'mail'), /^NAME .*READY +REASON/m, shortName)
    assert.match(await kubectl('get', 'mdomain', '-n', 'mail'), /RECORDS +AGE\nbrowncow +browncow\.example +True +Ready +(False|Unknown)/)
  })

  it('finds 1 MailDomain of its domain and 1 of 2 MailRelays of its hostname by field selectors', async () => {
    const found = async (plural: string, selector: string) => (await kubectl('get', plural, '-A', '--field-selector', selector, '-o', 'name')).trim()
    assert.equal(await found('maildomains', 'spec.domain=browncow.example'), 'maildomain.posthouse.dev/browncow')
    assert.equal(await found('maildomains', 'spec.domain=other.example'), '')
    assert.equal(await found('mailrelays', 'spec.hostname=mx2.example'), 'mailrelay.posthouse.dev/other')
    assert.equal(await found('deliveryroutes', 'spec.hold=true'), '')
  })

  it('scales a MailRelay from 2 to 4: the Deployment follows, and the scale says 4 pods and their labels', async () => {
    await kubectl('scale', 'mailrelay/main', '-n', 'mail', '--replicas=4')
    await until('4 replicas', async () => ((await world.get(resources.deployment, 'main'))!.spec as { replicas: number }).replicas === 4)
    const scale = () => world.kube.call<{ spec: { replicas: number }; status: { replicas: number; selector: string } }>({ path: '/apis/posthouse.dev/v1alpha1/namespaces/mail/mailrelays/main/scale' })
    const { status } = await until('4 pods', async () => (await scale().then((found) => found.status.replicas === 4 && found)) || undefined, 60_000)
    const pods = await kubectl('get', 'pods', '-n', 'mail', '-l', status.selector, '-o', 'name')
    assert.equal(pods.trim().split('\n').length, 4)
  })

  it('lets the HorizontalPodAutoscaler of the manual raise a MailRelay from 1 pod to the 2 that are its least', async () => {
    const manual = readFileSync(join(import.meta.dirname, '../../docs/monitoring.md'), 'utf8')
    const scaler = [...manual.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!).find((text) => text.includes('kind: HorizontalPodAutoscaler'))
    await kubectl('scale', 'mailrelay/main', '-n', 'mail', '--replicas=1')
    await kubectl.applyText(scaler!)
    await until('2 pods asked for', async () => ((await world.get(resourceOf('MailRelay'), 'main'))!.spec as { replicas: number }).replicas === 2, 180_000, 500)
    await kubectl('delete', 'hpa', 'main', '-n', 'mail')
  })

  it('sees the addresses of the Service in a MailRelay, and of no other', async () => {
    const service = (await world.get(resources.service, 'main'))!.spec as { clusterIP: string }
    await until('its address', async () => ((await world.get(resourceOf('MailRelay'), 'main'))!.status as { addresses: string[] }).addresses.join() === service.clusterIP)
  })

  it('waits for a condition of each kind by its name', async () => {
    await kubectl('wait', '-n', 'mail', '--for=condition=Ready', 'maildomain/browncow', 'relaypolicy/house', 'deliveryroute/partner', '--timeout=20s')
    await kubectl('wait', '-n', 'mail', '--for=condition=CredentialsReady', 'mailsender/app', '--timeout=20s')
    await kubectl('wait', '--for=condition=Ready', 'retryschedule/patient', '--timeout=20s')
    await kubectl('wait', '-n', 'mail', '--for=condition=Reachable=Unknown', 'deliveryroute/partner', '--timeout=20s')
    await kubectl('wait', '-n', 'mail', `${enforced}=False`, 'relaypolicy/house', '--timeout=20s')
    assert.notEqual((await kubectl.may('wait', '-n', 'mail', `${enforced}=True`, 'relaypolicy/house', '--timeout=1s')).code, 0)
    const { status } = (await world.get(resourceOf('RelayPolicy'), 'house'))! as unknown as { status: { targets: { conditions: { type: string; status: string; reason: string }[] }[] } }
    assert.deepEqual(status.targets[0]!.conditions.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`), ['Accepted True Accepted', 'Enforced False Pending'])
  })
})
