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
