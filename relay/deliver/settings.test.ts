import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { testSnapshot } from '../../test/tools/delivery.ts'
import { wayOf } from './route.ts'
import { defaultTimeouts, limitsOn, settingsFrom, settingsOn } from './settings.ts'

const route = {
  namespace: 'mail', name: 'slow', manifest: 'DeliveryRoute mail/slow', match: { recipientDomains: ['slow.example'] }, nextHops: [{ kind: 'mx' as const }],
  limits: { connections: 2, addressesPerAttempt: 9, messagesPerConnection: 1 }, timeouts: { dot: 1200, idle: 3 },
}
const settings = settingsFrom({})
const wayTo = (domain: string) => wayOf(testSnapshot({ routes: [route] }), { domain, mailFrom: null })

describe('the settings of all ways', () => {
  it('wait as long as RFC 5321 4.5.3.2 has it: 5 min for most replies, 2 for the 354, 3 for a block, 10 for the last', () => {
    const { greeting, mail, rcpt, data, block, dot } = defaultTimeouts
    assert.deepEqual({ greeting, mail, rcpt, data, block, dot }, { greeting: 300_000, mail: 300_000, rcpt: 300_000, data: 120_000, block: 180_000, dot: 600_000 })
  })
  it('are 5 addresses an attempt, 20 connections a site, 100 messages a connection, port 25 and no loopback', () => {
    const { addressesPerAttempt, connectionsPerSite, messagesPerConnection, mxPort, allowLoopback } = settings
    assert.deepEqual([addressesPerAttempt, connectionsPerSite, messagesPerConnection, mxPort, allowLoopback], [5, 20, 100, 25, false])
  })
  it('are as they are told, where they are told something', () => {
    const told = settingsFrom({ connectionsPerSite: 3, mxPort: undefined as unknown as number, timeouts: { dot: 1, mail: undefined as unknown as number } })
    assert.deepEqual(told, { ...settings, connectionsPerSite: 3, timeouts: { ...defaultTimeouts, dot: 1 } })
  })
})

describe('the settings of a way', () => {
  it('are those of its DeliveryRoute where it has any, in ms, and the 5 addresses and the rest as always', () => {
    const on = settingsOn(wayTo('slow.example'), settings)
    assert.deepEqual(on, { ...settings, addressesPerAttempt: 9, messagesPerConnection: 1, timeouts: { ...defaultTimeouts, dot: 1_200_000, idle: 3000 } })
    assert.deepEqual(limitsOn(wayTo('slow.example'), settings), { connections: 2, ratePerMinute: undefined, setBy: 'DeliveryRoute mail/slow' })
  })
  it('are the usual ones without a route', () => {
    assert.equal(settingsOn(wayTo('other.example'), settings), settings)
    assert.deepEqual(limitsOn(wayTo('other.example'), settings), { connections: 20, ratePerMinute: undefined })
  })
})
