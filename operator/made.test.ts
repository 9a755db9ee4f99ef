import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Applier } from './apply/index.ts'
import { make } from './made.ts'
import { dkimKeysFor, newDkimKey } from './make/index.ts'
import type { Data, Need } from './plan/index.ts'
import type { Refusals } from './refusals.ts'
import type { SecretStore } from './secret-store.ts'

const day = 86_400_000
const need = { kind: 'dkim', domain: 'ours.example', for: 'mail/ours', algorithm: 'ed25519', selectorPrefix: 'ph', rotation: { everySeconds: 90 * 86_400, overlapSeconds: 7 * 86_400 } } satisfies Need
const begin = Date.parse('2026-01-01T00:00:00Z')

it('of 1 key that has left, and that stays in its Secret because somebody else wrote it too, it is told once that its record may go: when it is written, not when it is found again', async () => {
  let data: Data = {}
  for (const days of [0, 84, 91]) data = (await dkimKeysFor(need, data, new Date(begin + days * day))).data
  const told: string[] = []
  for (const isWritten of [true, false, false]) {
    const store = { one: () => Promise.resolve(data), keep: () => Promise.resolve(isWritten) } as unknown as SecretStore
    const unhindered = (_kind: string, _key: string, work: () => Promise<unknown>): Promise<unknown> => work()
    const refusals = { attempt: unhindered, guard: unhindered } as unknown as Refusals
    await make([need], { store, applier: {} as Applier, refusals, owner: () => [], now: new Date(begin + 99 * day), sees: () => true, tell: (_kind, _key, { reason }) => told.push(reason), newKey: newDkimKey, running: () => undefined })
  }
  assert.deepEqual(told, ['DkimKeyForgotten'])
})
