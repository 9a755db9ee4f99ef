import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WriteStream } from 'node:tty'
import { ago, duration, jsonOf, legible, styled, table, when } from './terminal.ts'

describe('the CLI on a terminal', () => {
  it('says times in the 2 largest units', () => {
    const cases: [number, string][] = [[0, '0s'], [400, '0s'], [59_000, '59s'], [90_000, '1m30s'], [3_600_000, '1h'], [90_061_000, '1d1h'], [-5, '0s']]
    for (const [ms, words] of cases) assert.equal(duration(ms), words)
    assert.equal(ago(1000, 61_000), '1m ago')
    assert.equal(when(5000, 6000), 'now')
    assert.equal(when(6000, 5000), 'in 1s')
  })

  it('shows the control characters of others as text: 5 of them do nothing to a terminal', () => {
    assert.equal(legible('Subject: \u001b]0;owned\u0007\u009b2J\u001b[8mx\u202ey'), 'Subject: \\x1b]0;owned\\x07\\x9b2J\\x1b[8mx\\u202ey')
    assert.equal(legible('over\rwritten\r\nnext\tline\n'), 'over\\x0dwritten\r\nnext\tline\n')
    assert.equal(legible('\u001b[31mred\u001b[39m \u001b[1mbold\u001b[22m'), '\u001b[31mred\u001b[39m \u001b[1mbold\u001b[22m')
    assert.deepEqual([/[^ -~\n]/.test(jsonOf({ a: '\u202egpj\u2069' })), JSON.parse(jsonOf({ a: '\u202egpj\u2069' }))], [false, { a: '\u202egpj\u2069' }])
    assert.deepEqual([jsonOf({ a: '\u009b2J\u001b' }).includes('\u009b'), JSON.parse(jsonOf({ a: '\u009b2J\u001b' }))], [false, { a: '\u009b2J\u001b' }])
  })

  it('lines up 2 columns and leaves the last one free', () => {
    assert.equal(table(['A', 'B'], [['long', 'x'], ['s', 'y z']]), 'A     B\nlong  x\ns     y z')
  })

  it('lines up 300,000 rows: a queue may have so many domains', () => {
    assert.equal(table(['A', 'B'], Array.from({ length: 300_000 }, () => ['x', 'y'])).length, 'A  B\n'.length * 300_001 - 1)
  })
  it('writes 0 colour codes where the stream is no terminal, the terminal is a dumb one, or NO_COLOR is set', (t) => {
    const { TERM, NO_COLOR, FORCE_COLOR, CI } = process.env
    t.after(() => Object.assign(process.env, Object.fromEntries(Object.entries({ TERM, NO_COLOR, FORCE_COLOR, CI }).filter(([, value]) => value !== undefined))))
    for (const name of ['NO_COLOR', 'FORCE_COLOR', 'CI']) delete process.env[name]
    const terminal = Object.assign(Object.create(WriteStream.prototype) as WriteStream, { isTTY: true })
    process.env.TERM = 'xterm-256color'
    assert.match(styled('red', 'no', terminal), /\u001b\[31mno/)
    assert.equal(styled('red', 'no', { isTTY: false } as WriteStream), 'no')
    process.env.TERM = 'dumb'
    assert.equal(styled('red', 'no', terminal), 'no')
    Object.assign(process.env, { TERM: 'xterm-256color', NO_COLOR: '1' })
    assert.equal(styled('red', 'no', terminal), 'no')
    delete process.env.NO_COLOR
  })
})
