import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Witness } from './witness.ts'

const client = (address: string, helo = 'client.example') => ({ address, helo })

test('of 300 clients the latest 256 are known, each once and without the form of IPv4 in IPv6', () => {
  const witness = new Witness()
  for (let n = 0; n < 300; n++) witness.came('mx', client(`::ffff:10.0.${n >> 8}.${n & 255}`))
  witness.came('mx', client('10.0.0.100'))
  const clients = witness.seen().clients.mx!
  assert.deepEqual([clients.length, new Set(clients).size, clients[0], clients.at(-1)], [256, 256, '10.0.0.44', '10.0.0.100'])
})

test('1 who greets with a name that cannot exist is no client, and 1 listener is forgotten without the other', () => {
  const witness = new Witness()
  witness.came('mx', client('10.0.0.1', 'probe.Posthouse.INVALID'))
  witness.came('mx', client('10.0.0.2'))
  witness.came('submission', client('10.0.0.3'))
  witness.forget('mx')
  assert.deepEqual(witness.seen().clients, { submission: ['10.0.0.3'] })
})

test('of 100 domains that cannot exist the latest 64 are known, and none that can', () => {
  const witness = new Witness()
  for (let n = 0; n < 100; n++) witness.took(`d${n}.invalid`)
  witness.took('far.example')
  const { invalid } = witness.seen()
  assert.deepEqual([invalid.length, invalid[0], invalid.at(-1)], [64, 'd36.invalid', 'd99.invalid'])
})
