import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { X509Certificate } from 'node:crypto'
import { newAuthority } from './certificates.ts'
import type { Data } from '../plan/index.ts'
import { authorityFrom, authorityIn, certificateFrom } from './kept.ts'
import { configHash, loginsIn } from '../plan/index.ts'
import { queueSecretsFrom } from './queue-secrets.ts'

const day = 86_400_000
const start = new Date('2026-01-01T00:00:00Z')
const after = (days: number): Date => new Date(start.getTime() + days * day)
const names = ['q-0.example']
const certificatesIn = (pem: string): number => pem.match(/BEGIN CERTIFICATE/g)?.length ?? 0
const isTrusted = (certificate: string, trust: string): boolean =>
  (trust.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).some((one) => new X509Certificate(certificate).verify(new X509Certificate(one).publicKey))

describe('the CA of a relay', () => {
  it('signs alone for 3,250 days; then its successor is trusted for 1 day before it signs, and it itself for as long as it lives', () => {
    let kept: Data = authorityFrom({}, start)
    const first = kept['ca.crt']
    const at = (days: number): string => {
      kept = authorityFrom(kept, after(days))
      return ['ca.crt', 'next.crt', 'previous.crt'].filter((name) => kept[name] !== undefined).join(' ')
    }
    assert.deepEqual([at(3_250), kept['ca.crt']], ['ca.crt', first])
    assert.deepEqual([at(3_254), kept['ca.crt']], ['ca.crt next.crt', first])
    const successor = kept['next.crt']
    assert.deepEqual([at(3_254.9), kept['next.crt']], ['ca.crt next.crt', successor])
    assert.deepEqual([at(3_255.1), kept['ca.crt'], kept['previous.crt']], ['ca.crt previous.crt', successor, first])
    assert.equal(at(3_654), 'ca.crt')
  })

  it('trusts at each of 4,000 days what was signed the day before, by whoever signed then', () => {
    let [authority, certificate]: [Data, Data] = [{}, {}]
    for (let days = 0; days < 4_000; days += 1) {
      const fresh = authorityFrom(authority, after(days))
      authority = fresh
      const { trust } = authorityIn(fresh)
      if (certificate['tls.crt'] !== undefined) assert.ok(isTrusted(certificate['tls.crt'], trust), `day ${days}`)
      certificate = certificateFrom(certificate, names, authorityIn(fresh), after(days))
      assert.ok(new X509Certificate(certificate['tls.crt']!).validToDate > after(days + 29), `day ${days}`)
    }
  })
})

describe('the login of a relay at its queue', () => {
  const pair = newAuthority(start)
  const authority = { ...pair, trust: pair.certificate }
  const step = (kept: Data, rotate: string | undefined, running: string | undefined, now = start): Data => ({ ...queueSecretsFrom(kept, { names, rotate, running }, authority, now), 'nats.conf': 'a text' })
  const made = step({}, undefined, undefined)

  it('stays as it is without an annotation, and with 1 that was there from the start', () => {
    assert.deepEqual(step(made, undefined, configHash(made)), made)
    const asked = step({}, 'first', undefined)
    assert.deepEqual([loginsIn(asked).length, step(asked, 'first', undefined)], [1, asked])
  })

  it('is replaced in 3 steps: known to all servers, taken by the relay, the old one forgotten after 10 minutes', () => {
    const both = step(made, 'now', configHash(made))
    assert.deepEqual([both.username, loginsIn(both).length, step(both, 'now', configHash(made))], [made.username, 2, both])
    const taken = step(both, 'now', configHash(both))
    assert.deepEqual([taken.username, taken['old-username'], loginsIn(taken)], [both['next-username'], made.username, loginsIn(both)])
    assert.equal(configHash(taken), configHash(both), 'taking it restarts no server')
    const at = (minutes: number): Data => step(taken, 'now', configHash(taken), new Date(start.getTime() + minutes * 60_000))
    assert.deepEqual(at(9), taken)
    assert.deepEqual(loginsIn(at(11)), [{ username: taken.username, password: taken.password }])
    assert.notEqual(configHash(at(11)), configHash(taken))
    assert.notEqual(taken.password, made.password)
  })

  it('asked for a 2nd time while the 1st is under way, is replaced once more after it', () => {
    const both = step(made, 'one', configHash(made))
    const taken = step(both, 'two', configHash(both))
    const later = new Date(start.getTime() + 11 * 60_000)
    const again = step(taken, 'two', configHash(taken), later)
    assert.deepEqual([again.username, again.rotated, loginsIn(again).length, again['old-username']], [taken.username, 'two', 2, undefined])
  })

  it('trusts 2 CAs where there are 2', () => {
    const trust = pair.certificate + newAuthority(start).certificate
    assert.equal(certificatesIn(queueSecretsFrom(made, { names, rotate: undefined, running: undefined }, { ...pair, trust }, start)['ca.crt']!), 2)
  })
})
