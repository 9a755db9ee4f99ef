import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailDomain } from '../../../crds/index.ts'
import { requiredRecords } from './required.ts'

const domain = (spec: object): MailDomain => ({ kind: 'MailDomain', metadata: { name: 'x', namespace: 'mail', labels: {}, annotations: {} }, spec: { domain: 'Bücher.example', ...spec } as MailDomain['spec'] })
const key = { selector: 'ph-rsa-202611', algorithm: 'rsa', publicPart: 'AAAA' } as const

test('a hosted, signed domain on 2 relays needs 2 MX, 1 SPF, 1 DKIM and 1 DMARC record, under its A-labels', () => {
  const records = requiredRecords(domain({ inbound: {} }), { hostnames: ['mx1.example', 'mx2.example'], dkim: [key] })
  assert.deepEqual(records.map(({ type, name, value }) => ({ type, name, value })), [
    { type: 'MX', name: 'xn--bcher-kva.example', value: '10 mx1.example.' },
    { type: 'MX', name: 'xn--bcher-kva.example', value: '10 mx2.example.' },
    { type: 'TXT', name: 'xn--bcher-kva.example', value: 'v=spf1 a:mx1.example a:mx2.example ~all' },
    { type: 'TXT', name: 'ph-rsa-202611._domainkey.xn--bcher-kva.example', value: 'v=DKIM1; k=rsa; p=AAAA' },
    { type: 'TXT', name: '_dmarc.xn--bcher-kva.example', value: 'v=DMARC1; p=none' },
  ])
})

test('a domain that is not hosted here needs no MX', () => {
  assert.deepEqual(requiredRecords(domain({}), { hostnames: ['mx1.example'], dkim: [] }).map(({ type }) => type), ['TXT', 'TXT'])
})
