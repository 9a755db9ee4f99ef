import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publicRanges, serviceAddresses } from './own-addresses.ts'

const service = (relay: string, component: string, spec: object, status: object = {}) => ({ metadata: { namespace: 'mail', labels: { 'app.kubernetes.io/instance': relay, 'app.kubernetes.io/component': component } }, spec, status })

test('a relay is found at 4 addresses of its Service: both of the cluster, an external one, that of the load balancer; the queue has none', () => {
  const main = service('main', 'relay', { clusterIP: '10.96.0.5', clusterIPs: ['10.96.0.5', 'fd00::5'], externalIPs: ['203.0.113.25'] }, { loadBalancer: { ingress: [{ ip: '198.51.100.25' }, { hostname: 'lb.example' }] } })
  const found = serviceAddresses([main, service('main', 'queue', { clusterIP: 'None' }), service('new', 'relay', {})])
  assert.deepEqual([...found], [['mail/main', ['10.96.0.5', '198.51.100.25', '203.0.113.25', 'fd00::5']], ['mail/new', []]])
})

test('of 4 pod ranges the 2 that are public are blocked for an MX: private ones are anyway', () => {
  assert.deepEqual(publicRanges(['10.244.0.0/24', '2600:1f18::/64', 'fd00:10::/64', '203.0.113.0/24']), ['203.0.113.0/24', '2600:1f18::/64'])
})
