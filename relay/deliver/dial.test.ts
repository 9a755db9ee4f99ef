import assert from 'node:assert/strict'
import { test } from 'node:test'
import { never } from '../../test/tools/delivery.ts'
import { dial } from './dial.ts'
import type { Target } from './session.ts'
import { settingsFrom } from './settings.ts'

test('1 address that this machine has no way to is told from one that is away', { skip: process.platform === 'linux' ? false : 'others say otherwise that TCP has no broadcast' }, async () => {
  const target = { host: 'mx.example', address: '255.255.255.255', port: 25 } as Target
  const found = await dial(target, { settings: settingsFrom({}), signal: never() })
  assert.deepEqual('kind' in found && [found.at, found.how, found.text], ['CONNECT', 'no-way', 'there is no way to that network (ENETUNREACH)'])
})
