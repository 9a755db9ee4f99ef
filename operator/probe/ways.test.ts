import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailRelay } from '../../crds/index.ts'
import { waysTo } from './ways.ts'

type Listeners = Parameters<typeof waysTo>[1]
type Pods = Parameters<typeof waysTo>[3]

const listeners = [{ name: 'mx', protocol: 'SMTP', port: 25 }] as unknown as Listeners
const relay = (type: string): MailRelay => ({ spec: { service: { type } } }) as unknown as MailRelay
const service = (spec: object, ingress: object[] = []) => ({ metadata: { name: 'main' }, spec: { ports: [{ name: 'mx', port: 25, nodePort: 30_025 }], ...spec }, status: { loadBalancer: { ingress } } })
const pods = [{ name: 'main-1', ready: true, address: 'fd00::7', node: '192.0.2.9' }] as unknown as Pods
const hosts = (ways: ReturnType<typeof waysTo>): string[] => ways.map(({ name, door: { host, port } }) => `${name} ${host} ${port}`)

test('a Service of both families is tried by its 2 addresses, one of a single family by 1, a headless one by none', () => {
  const through = (spec: object) => hosts(waysTo(relay('ClusterIP'), listeners, service(spec), pods)).filter((way) => way.startsWith('through'))
  assert.deepEqual(through({ clusterIP: '10.0.0.4', clusterIPs: ['10.0.0.4', 'fd00:1::4'] }), ['through the Service 10.0.0.4 25', 'through the Service fd00:1::4 25'])
  assert.deepEqual(through({ clusterIP: 'fd00:1::4', clusterIPs: ['fd00:1::4'] }), ['through the Service fd00:1::4 25'])
  assert.deepEqual(through({ clusterIP: '10.0.0.4' }), ['through the Service 10.0.0.4 25'])
  assert.deepEqual(through({ clusterIP: 'None', clusterIPs: ['None'] }), [])
  assert.deepEqual(through({}), [])
})

test('a load balancer is tried from its 2 outsides: its address and the port of a node', () => {
  const ways = waysTo(relay('LoadBalancer'), listeners, service({ clusterIP: '10.0.0.4' }, [{ ip: '203.0.113.5' }]), pods)
  assert.deepEqual(hosts(ways), ['through the Service 10.0.0.4 25', 'straight at a pod fd00::7 2525', 'from outside 203.0.113.5 25', 'from outside 192.0.2.9 30025'])
  assert.deepEqual(ways.map(({ mustAnswer }) => mustAnswer), [true, true, false, false])
})

test('TLS is asked for at 1 way of 4, the Service; a port that has it from the first byte has it at all 4', () => {
  const tls = (protocol: string) => waysTo(relay('LoadBalancer'), [{ ...listeners[0]!, protocol } as (typeof listeners)[0]], service({ clusterIP: '10.0.0.4' }, [{ ip: '203.0.113.5' }]), pods).map(({ door }) => door.tls)
  assert.deepEqual([tls('SMTP'), tls('Submissions')], [['starttls', 'none', 'none', 'none'], ['implicit', 'implicit', 'implicit', 'implicit']])
})

test('a Service of the cluster alone has 0 outsides, whatever its status shows; a pod that is not ready, or has no address, is no way', () => {
  const ways = (given: object[]) => hosts(waysTo(relay('ClusterIP'), listeners, service({}, [{ ip: '203.0.113.5' }]), given as unknown as Pods))
  assert.deepEqual(ways([...pods]), ['straight at a pod fd00::7 2525'])
  assert.deepEqual(ways([{ name: 'a', ready: false, address: 'fd00::8' }, { name: 'b', ready: true }]), [])
  const noPort = waysTo(relay('NodePort'), listeners, { metadata: { name: 'main' }, spec: {} }, pods)
  assert.deepEqual(hosts(noPort), ['straight at a pod fd00::7 2525'], 'the port of the node is not known yet')
})

test('we speak for a client only where our own address is a proxy’s: at 1 of 2 listeners', () => {
  const trusting = { ...listeners[0]!, proxyProtocol: { trustedCIDRs: ['10.0.0.0/8'] } } as (typeof listeners)[0]
  const proxied = [trusting, listeners[0]!].map((one) => waysTo(relay('ClusterIP'), [one], service({}), pods)[0]!.door.proxied)
  assert.deepEqual(proxied.map((of) => [of('10.1.2.3'), of('192.0.2.1')]), [[true, false], [false, false]])
})
