import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindBy, hostPort, refuseUnknown } from './listen-option.ts'

test('host:port is read in 4 forms; [::] becomes the host that makes Node take 0.0.0.0 where the kernel has no IPv6', () => {
  assert.deepEqual(hostPort('127.0.0.1:2525'), { host: '127.0.0.1', port: 2525 })
  assert.deepEqual(hostPort('relay.example:25'), { host: 'relay.example', port: 25 })
  assert.deepEqual(hostPort('[::1]:25'), { host: '::1', port: 25 })
  assert.deepEqual(hostPort('[::]:9464'), { host: '', port: 9464 })
  for (const wrong of ['127.0.0.1', ':25', '::1:25', '127.0.0.1:65536', '']) assert.throws(() => hostPort(wrong), /host:port, such as/)
})

test('a listener opens where --listen says, else at --host and its own port', () => {
  const bind = bindBy({ host: '::', listen: { submission: '[::1]:2587' } })
  assert.deepEqual(bind({ name: 'mx', bindPort: 2525 }), { host: '', port: 2525 })
  assert.deepEqual(bind({ name: 'submission', bindPort: 2526 }), { host: '::1', port: 2587 })
})

test('a listener named constructor, which every object has, opens at --host and its own port where --listen names 0 others', () => {
  assert.deepEqual(bindBy({ host: '127.0.0.1', listen: {} })({ name: 'constructor', bindPort: 10025 }), { host: '127.0.0.1', port: 10025 })
})

test('--listen for a listener that is none of 2 is refused, and names the 2', () => {
  const snapshot = { relay: { manifest: 'MailRelay mail/main' }, listeners: [{ name: 'mx' }, { name: 'submission' }] }
  assert.doesNotThrow(() => refuseUnknown({ mx: '127.0.0.1:4525' }, snapshot))
  assert.throws(() => refuseUnknown({ submision: '127.0.0.1:4587' }, snapshot), { message: '--listen submision=127.0.0.1:4587: no such listener; MailRelay mail/main has mx, submission' })
})
