import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kube, KubeObject, Note } from './kube/index.ts'
import { createRefusals, Passing } from './refusals.ts'
import { lookAtLeaving, queueFinalizer } from './leaving.ts'
import { ourKinds, type Watched } from './watched.ts'

const relays = ourKinds.find(({ kind }) => kind === 'MailRelay')!
/** Of a MailRelay that is being deleted, without a pod that could be asked: what is told by a look that finds this in its status. */
const told = async (conditions: readonly object[]): Promise<string[]> => {
  const live: KubeObject = { metadata: { name: 'main', namespace: 'mail', uid: 'u', deletionTimestamp: '2026-11-28T00:00:00Z', finalizers: [queueFinalizer] }, spec: { replicas: 2 }, status: { conditions } }
  const watched = { all: ({ kind }: { kind: string }) => (kind === 'MailRelay' ? [live] : []), get: () => undefined } as unknown as Watched
  const notes: Note[] = []
  await lookAtLeaving(new Set(['mail/main']), { kube: {} as Kube, watched, relays, notes: { tell: (note) => (notes.push(note), Promise.resolve()) } }, createRefusals({ waits: () => false, note: (_, error) => assert.fail(error as Error) }, new Passing()).attempt)
  return notes.map(({ type, reason }) => `${type} ${reason}`)
}

test('why a deletion waits is told in 1 Event where the status did not say so yet, also by an operator that has just begun, and in 0 where it did', async () => {
  assert.deepEqual(await told([]), ['Warning QueueUnknown'])
  assert.deepEqual(await told([{ type: 'Drained', reason: 'QueueUnknown', message: 'in other words' }]), [])
  assert.deepEqual(await told([{ type: 'Drained', reason: 'QueueNotEmpty' }, { type: 'Ready', reason: 'QueueUnknown' }]), ['Warning QueueUnknown'])
})
