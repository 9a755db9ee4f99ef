import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attempt, attemptAll } from './attempt.ts'
import { strangerForms } from './forms.ts'

const [form, other] = strangerForms('p.invalid', 'own.example')

test('a session is judged by the reply that ends it: 3xx and below is relayed, 400 to 499 put off, 500 and above refused, none lost', async () => {
  const judged = async (...codes: (number | undefined)[]) => attempt(() => Promise.resolve(codes.shift()), form!, 'p.invalid')
  assert.deepEqual([await judged(250, 250, 354, 250), await judged(250, 250, 354, 399)], ['relayed', 'relayed'])
  assert.deepEqual([await judged(400), await judged(250, 499), await judged(250, 250, 450), await judged(250, 250, 354, 400)], ['put off', 'put off', 'put off', 'put off'])
  assert.deepEqual([await judged(500), await judged(250, 550), await judged(250, 250, 354, 500)], ['refused', 'refused', 'refused'])
  assert.deepEqual([await judged(undefined), await judged(250, 250, 354, undefined)], ['lost', 'lost'])
})

test('of 2 forms the 2nd is tried only after a refusal and a RSET that was answered: 1 that got through is enough', async () => {
  const tried = async (...codes: (number | undefined)[]) => (await attemptAll(() => Promise.resolve(codes.shift()), [form!, other!], 'p.invalid')).map(({ result }) => result)
  assert.deepEqual(await tried(250, 550, 250, 250, 250, 354, 250), ['refused', 'relayed'])
  assert.deepEqual([await tried(250, 550, undefined), await tried(250, 250, 354, 250, 250, 550, 250), await tried(undefined, 250, 550, 250)], [['refused'], ['relayed'], ['lost']])
})
