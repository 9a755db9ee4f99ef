// What crds says in words of its own, because it imports nothing: the same as the relay says it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonSchemaOf, kinds, type JsonSchema } from '../crds/index.ts'
import { authMechanisms, parsePrefix, privateRanges } from '../relay/snapshot/index.ts'

const listener = jsonSchemaOf(kinds.find(({ kind }) => kind === 'MailRelay')!).properties!.spec!.properties!.listeners!.items!.properties!
const rulesIn = (schema: JsonSchema): string => (schema['x-kubernetes-validations'] ?? []).map(({ rule }) => rule).join(' ')
const inOrder = (ranges: readonly unknown[]): string[] => ranges.map((range) => JSON.stringify(range, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).toSorted()

test('the 9 private ranges in the rules of a CRD are those of the relay', () => {
  const named = [...rulesIn(listener.proxyProtocol!.properties!.trustedCIDRs!.items!).matchAll(/'([0-9a-f.:]+\/[0-9]+)'/g)].map(([, range]) => range!)
  assert.equal(named.length, 9)
  assert.deepEqual(inOrder(named.map((range) => parsePrefix(range))), inOrder(privateRanges))
})

test('the 4 AUTH mechanisms of a listener are those of the relay, in its order', () => assert.deepEqual(listener.auth!.items!.enum, authMechanisms))
