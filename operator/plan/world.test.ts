// What a name that does not exist is answered with, by who asks.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { main, planned, type Given } from '../../test/tools/planned.ts'

const app: Given[number] = ['MailSender', 'shop/app', { relayRef: { name: 'main', namespace: 'mail' } }]
const told = (...given: Given): string | undefined => planned([main, app, ...given]).conditions.find(({ reason }) => reason === 'SenderNotFound')?.message

it('names a MailSender of another namespace where it sends through 1 MailRelay of the namespace that asks', () => {
  assert.equal(told(['DeliveryRoute', 'r', { match: { senders: ['shop/ap'] } }]), 'MailSender shop/ap does not exist; did you mean app? (DeliveryRoute mail/r holds without)')
})

it('names 0 MailSenders of another namespace to a tenant who guesses at them', () => {
  const guess = (kind: string, name: string, spec: object): string | undefined => told(['MailDomain', 'bank/d', { domain: 'd.example' }], [kind, name, spec])
  assert.equal(guess('RelayPolicy', 'bank/p', { targetRefs: [{ kind: 'MailDomain', name: 'd' }], rules: [{ name: 'r', match: { senders: ['shop/ap'] }, action: 'Deny' }] }), 'MailSender shop/ap does not exist (RelayPolicy bank/p holds without)')
  assert.equal(guess('DeliveryRoute', 'bank/r', { match: { senders: ['shop/ap'] } }), 'MailSender shop/ap does not exist (DeliveryRoute bank/r holds without)')
})
