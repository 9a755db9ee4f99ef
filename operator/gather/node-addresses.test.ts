import assert from 'node:assert/strict'
import { test } from 'node:test'
import { essenceOfNode, nodeAddresses } from './node-addresses.ts'

const node = (name: string, more: object) => ({ metadata: { name, resourceVersion: '1' }, ...more })

test('a node counts with its addresses, the first 2 of its pod ranges, and what its network wrote down; its host name and its labels do not', () => {
  const one = node('one', {
    metadata: { name: 'one', annotations: { 'projectcalico.org/IPv4IPIPTunnelAddr': '10.84.7.64', 'projectcalico.org/IPv4Address': '10.0.0.1/24', 'node.alpha.kubernetes.io/ttl': '0', 'volumes/x': 'true' } },
    spec: { podCIDRs: ['10.84.1.0/24', 'fd00:84:0:1::/64'] },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }, { type: 'ExternalIP', address: '203.0.113.7' }, { type: 'Hostname', address: 'one' }], images: [{}] },
  })
  assert.deepEqual(nodeAddresses([one], []), ['10.0.0.1', '10.84.1.0/31', '10.84.7.64', '203.0.113.7', 'fd00:84:0:1:0:0:0:0/127'])
})

test('where nodes may not be read, the nodes of 2 pods are known by the pods', () => {
  const pods = [{ metadata: { name: 'a' }, status: { hostIP: '10.0.0.1', hostIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] } }, { metadata: { name: 'b' }, status: { hostIP: '10.0.0.2' } }, { metadata: { name: 'c' } }]
  assert.deepEqual(nodeAddresses([], pods), ['10.0.0.1', '10.0.0.2', 'fd00::1'])
})

test('of what a node reports every few minutes 0 fields are kept', () => {
  assert.deepEqual(essenceOfNode(node('one', { status: { conditions: [{ type: 'Ready' }], images: [{}], addresses: [] } })), { metadata: { name: 'one', resourceVersion: '1', annotations: {} }, spec: { podCIDRs: [] }, status: { addresses: [] } })
})
