import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainSchema, splitMailbox, type HostedDomain } from '../snapshot/index.ts'
import { baseMailbox, decideUser } from './index.ts'

const hosted = (recipients: { mode: 'Callout' | 'List' | 'Any'; list?: string[]; subaddressing?: boolean }): HostedDomain =>
  domainSchema.parse({ namespace: 'mail', name: 'h', manifest: 'MailDomain mail/h', domain: 'h.example', listeners: ['mx'], inbound: { recipients } })
const known = (domain: HostedDomain, user: string) => decideUser(domain, splitMailbox(`${user}@h.example`)!)

test('Any knows everybody, Callout asks, List knows who is listed by local part or address', () => {
  assert.equal(known(hosted({ mode: 'Any' }), 'x'), 'yes')
  assert.equal(known(hosted({ mode: 'Callout' }), 'x'), 'ask')
  const list = hosted({ mode: 'List', list: ['fred', 'ann@h.example'] })
  assert.deepEqual(['fred', 'ann', 'bob', 'Fred', 'fred+x'].map((user) => known(list, user)), ['yes', 'yes', 'no', 'no', 'no'])
})

test('postmaster is always known, in any case', () => {
  for (const mode of ['List', 'Callout', 'Any'] as const) assert.equal(known(hosted({ mode }), 'PostMaster'), 'yes')
})

test('with subaddressing user+detail is user, and +detail alone is nobody', () => {
  const list = hosted({ mode: 'List', list: ['fred'], subaddressing: true })
  assert.deepEqual(['fred+news', 'fred+a+b', '+news', 'bob+fred'].map((user) => known(list, user)), ['yes', 'yes', 'no', 'no'])
  assert.deepEqual(['fred+news', 'f+news', 'fred', '+news'].map((local) => baseMailbox(list, { local, domain: 'h.example' }).local), ['fred', 'f', 'fred', '+news'])
})
