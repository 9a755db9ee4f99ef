import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { replies, reply } from './index.ts'

const manual = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'replies.md'), 'utf8')

test('docs/replies.md lists every reply with its code and words, says when it comes, and lists no other', () => {
  const rows = [...manual.matchAll(/^\| `([a-z0-9-]+)` \| (\d{3}) ?([\d.]*) ?\| (.*?) \| (.+) \|$/gm)].map(([, name, code, enhanced, text, when]) => ({ name, code: Number(code), enhanced, text, told: when!.length > 3 }))
  assert.deepEqual(rows, Object.entries(replies).map(([name, { code, enhanced, text }]) => ({ name, code, enhanced, text, told: true })))
})

test('every reply has an enhanced code of its own class, but the greeting, HELO and EHLO, and 3xx (RFC 2034 4)', () => {
  for (const [name, { code, enhanced }] of Object.entries(replies)) {
    if (['greeting', 'hello'].includes(name) || Math.floor(code / 100) === 3) assert.equal(enhanced, '', name)
    else assert.match(enhanced, new RegExp(`^${Math.floor(code / 100)}\\.\\d\\.\\d{1,2}$`), name)
  }
})

test('words are filled in once, and braces in them stay as they are', () => {
  assert.equal(reply('queued', { id: '{limit}' }).text, 'queued as {limit}')
})

test('docs/replies.md names 6 limits and more, and each is one that a manifest can set', () => {
  const named = [...manual.matchAll(/`limits\.(\w+)`/g)].map(([, name]) => name!)
  const settable = ['mail-relay', 'mail-sender', 'relay-policy'].map((kind) => readFileSync(join(import.meta.dirname, '..', '..', 'crds', `${kind}.yaml`), 'utf8')).join('\n')
  assert.ok(new Set(named).size >= 6)
  assert.deepEqual(named.filter((name) => !new RegExp(`^ +${name}:$`, 'm').test(settable)), [])
})
