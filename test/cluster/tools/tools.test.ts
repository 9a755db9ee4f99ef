// What the stories wait with and clean up with, against a kubectl that says what a cluster would: a wait that passes before anything has changed proves nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kubectl } from './kubectl.ts'
import type { Joined } from './shared.ts'
import { areGone } from './slate.ts'
import { SmallRelay } from './small-relay.ts'

const saying = (answers: { readonly json?: () => object; readonly may?: () => { code: number; stdout: string } }): Kubectl =>
  Object.assign(() => Promise.resolve(''), {
    may: async () => ({ output: '', ...(answers.may?.() ?? { code: 0, stdout: '' }) }),
    apply: () => Promise.resolve(),
    applyText: () => Promise.resolve(),
    json: async <T>() => answers.json!() as T,
  })

test('a condition of the generation before is none: the wait for Programmed passes at the 3rd look, when the new one was judged', async () => {
  let looks = 0
  const told = (generation: number) => [{ type: 'Programmed', status: 'True', reason: 'Programmed', message: `of ${generation}`, observedGeneration: generation }]
  const kubectl = saying({ json: () => ({ metadata: { generation: 2 }, status: { conditions: told(++looks < 3 ? 1 : 2) } }) })
  const { message } = await new SmallRelay({ kubeconfig: '', images: { posthouse: '', nats: '' }, kubectl } satisfies Joined, 'mail').becomes('Programmed', 'Programmed')
  assert.deepEqual([message, looks], ['of 2', 3])
})

test('namespaces are gone when the API server says so, and not when it says nothing: 1 of 3 answers', async () => {
  const asked = (code: number, stdout: string): Promise<boolean> => areGone(saying({ may: () => ({ code, stdout }) }), ['mail'])
  assert.deepEqual(await Promise.all([asked(0, ''), asked(0, 'namespace/mail\n'), asked(1, '')]), [true, false, false])
})
