import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameservers } from '../test/tools/field-cases.ts'
import { mailRelay } from './mail-relay.ts'

const { good, bad } = nameservers
const isTaken = (nameserver: string): boolean => mailRelay.spec.safeParse({ hostname: 'mx.example', resolver: { nameservers: [nameserver] } }).success

test(`a MailRelay takes ${good.length} name servers, by address or address:port`, () => assert.deepEqual(good.filter((one) => !isTaken(one)), []))

test(`a MailRelay refuses ${bad.length} name servers: addresses that are none, and ports at which nobody can be asked`, () => assert.deepEqual(bad.filter(isTaken), []))
