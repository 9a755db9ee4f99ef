import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from './metrics.ts'

/** Of one metric, the label values that have a 0. */
const zeros = (page: string, name: string): string[] =>
  [...page.matchAll(new RegExp(`^posthouse_${name}{(.*)} 0$`, 'gm'))].flatMap(([, labels]) => labels!.split(',').filter((label) => !label.startsWith('relay=')).map((label) => label.split('"')[1]!)).sort()

test('what is counted by labels that are known beforehand begins at 0, so that its first increase is seen: 6 outcomes, 7 classes, 3 kinds of notices, 3 states of TLS, 4 results of DNS', async () => {
  const page = await createMetrics('mail/main').registry.metrics()
  const of = (name: string): string[] => zeros(page, name)
  const outcomes = ['deferred', 'delivered', 'expired', 'held', 'refused', 'unroutable']
  assert.deepEqual([of('delivery_attempts_total'), of('delivery_age_seconds_count')], [outcomes, outcomes])
  assert.deepEqual(of('delivery_deferred_total'), ['Connect', 'DNS', 'Greylist', 'Other', 'QuotaExceeded', 'RateLimited', 'TLS'])
  assert.deepEqual(of('bounces_total'), ['delayed', 'failed', 'relayed'])
  assert.deepEqual(of('delivery_connections_total'), ['none', 'unverified', 'verified'])
  assert.deepEqual(of('dns_lookup_seconds_count'), ['failed', 'nodata', 'nxdomain', 'records'])
})

test('10,000 names of policies that come and go, and 5,000 rules of one, leave no more than 1,000 lines and 1 for the others on the page; what is in force keeps its count', async () => {
  const { policyWarnings, registry } = createMetrics()
  const lines = async (): Promise<string[]> => (await registry.metrics()).split('\n').filter((line) => line.startsWith('posthouse_policy_warnings_total{'))
  const house = { manifest: 'RelayPolicy mail/house', rules: [{ name: 'r' }] }
  policyWarnings.inc({ policy: house.manifest, rule: 'r' })
  for (let n = 0; n < 10_000; n++) {
    policyWarnings.inc({ policy: `RelayPolicy shop/p${n}`, rule: 'r' })
    policyWarnings.keep([house])
  }
  assert.deepEqual(await lines(), ['posthouse_policy_warnings_total{policy="RelayPolicy mail/house",rule="r"} 1'])
  for (let n = 0; n < 5_000; n++) policyWarnings.inc({ policy: 'RelayPolicy shop/p', rule: `r${n}` })
  const page = await lines()
  assert.equal(page.length, 1_001)
  assert.match(page.find((line) => line.includes('policy="others"'))!, / 4001$/)
})
