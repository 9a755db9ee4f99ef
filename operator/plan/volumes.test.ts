import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailRelay } from '../../crds/index.ts'
import { queueBytesOf, smallerVolume, smallestVolumes } from './volumes.ts'

const gibibyte = 2 ** 30
const claim = (namespace: string, relay: string, storage?: string, component = 'queue') => ({ metadata: { namespace, labels: { 'app.kubernetes.io/instance': relay, 'app.kubernetes.io/component': component } }, status: storage === undefined ? {} : { capacity: { storage } } })
const relay = (queue: object): MailRelay => ({ spec: { queue } }) as unknown as MailRelay

test('of 3 volumes the smallest counts; a claim that is not bound, of another part, or of a size that cannot be read counts as none', () => {
  const claims = [claim('mail', 'main', '20Gi'), claim('mail', 'main', '10737418240'), claim('mail', 'main'), claim('mail', 'main', '1Gi', 'relay'), claim('shop', 'main', '2Pi'), claim('shop', 'other', '5Gi')]
  assert.deepEqual([...smallestVolumes(claims)], [['mail/main', 10 * gibibyte], ['shop/other', 5 * gibibyte]])
})

test('a queue counts on 10 GiB where 40 are wished for and a volume has 10, on 40 where none is there or all are larger; an external one on what it is told', () => {
  const wished = relay({ managed: { storage: { size: '40Gi' } } })
  assert.deepEqual([queueBytesOf(wished, 10 * gibibyte), queueBytesOf(wished, undefined), queueBytesOf(wished, 50 * gibibyte), queueBytesOf(relay({ external: { size: '3Gi' } }), gibibyte)].map((bytes) => bytes / gibibyte), [10, 40, 40, 3])
  assert.deepEqual([smallerVolume(wished, 10 * gibibyte), smallerVolume(wished, 40 * gibibyte), smallerVolume(wished, undefined)], ['storage.size is 40Gi and the smallest volume has 10240 MiB, which counts until the claims have grown', undefined, undefined])
})
