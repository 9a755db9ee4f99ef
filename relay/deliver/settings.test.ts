import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { testSnapshot } from '../../test/tools/delivery.ts'
import { wayOf } from './route.ts'
import { defaultTimeouts, limitsOn, settingsFrom, settingsOn } from './settings.ts'

const route = {
  namespace: 'mail', name: 'slow', manifest: 'DeliveryRoute mail/slow', match: { recipientDomains: ['slow.example'] }, nextHops: [{ kind: 'mx' as const }],
  limits: { connections: 2, addressesPerAttempt: 9 }, timeouts: { dot: 1200, idle: 3 },
}
const settings = settingsFrom({})
const wayTo = (domain: string) => wayOf(testSnapshot({ routes: [route] }), { domain, mailFrom: null })

describe('the settings of a way', () => {
  it('are those of its DeliveryRoute where it has any, in ms, and the 5 addresses and the rest as always', () => {
    const on = settingsOn(wayTo('slow.example'), settings)
    assert.deepEqual(on, { ...settings, addressesPerAttempt: 9, timeouts: { ...defaultTimeouts, dot: 1_200_000, idle: 3000 } })
    assert.deepEqual(limitsOn(wayTo('slow.example'), settings), { connections: 2, ratePerMinute: undefined })
  })
  it('are the usual ones without a route', () => {
    assert.equal(settingsOn(wayTo('other.example'), settings), settings)
    assert.deepEqual(limitsOn(wayTo('other.example'), settings), { connections: 20, ratePerMinute: undefined })
  })
})
