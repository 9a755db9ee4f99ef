import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMailParameters, readRecipientParameters } from './parameters.ts'

const mail = (text: string) => {
  const read = readMailParameters(text)
  return read.kind === 'read' ? read.value : `${read.reply.code} ${read.reply.enhanced}`
}
const rcpt = (text: string) => {
  const read = readRecipientParameters(text)
  return read.kind === 'read' ? read.value : `${read.reply.code} ${read.reply.enhanced}`
}

test('reads all 6 parameters of MAIL, in any case and order', () => {
  assert.deepEqual(mail('ret=hdrs size=1000 BODY=8bitmime smtputf8 ENVID=QQ314159+2Bx AUTH=<>'), { size: 1000, body: '8BITMIME', smtputf8: true, ret: 'HDRS', envid: 'QQ314159+2Bx' })
  assert.deepEqual(mail(''), { body: '7BIT', smtputf8: false })
})

const badMail: readonly (readonly [string, string])[] = [
  ['FOO=BAR', '555 5.5.4'], ['NOTIFY=NEVER', '555 5.5.4'], ['constructor=1', '555 5.5.4'], ['__PROTO__', '555 5.5.4'], ['=5', '555 5.5.4'],
  ['SIZE=abc', '501 5.5.4'], ['SIZE', '501 5.5.4'], ['SIZE=', '501 5.5.4'], ['SIZE=-1', '501 5.5.4'], [`SIZE=${'9'.repeat(21)}`, '501 5.5.4'], ['SIZE=1 SIZE=1', '501 5.5.4'],
  ['BODY=BINARYMIME', '501 5.5.4'], ['BODY', '501 5.5.4'], ['SMTPUTF8=yes', '501 5.5.4'], ['RET=ALL', '501 5.5.4'],
  ['ENVID=a+b', '501 5.5.4'], ['ENVID=a=b', '501 5.5.4'], ['ENVID=a+0D+0Ab', '501 5.5.4'], ['ENVID=ä', '501 5.5.4'], [`ENVID=${'a'.repeat(101)}`, '501 5.5.4'], ['ENVID', '501 5.5.4'], ['ENVID=', '501 5.5.4'], ['AUTH', '501 5.5.4'], [`AUTH=${'a'.repeat(501)}`, '501 5.5.4'], ['AUTH=a b', '555 5.5.4'], ['AUTH=+0A', '501 5.5.4'],
]
for (const [text, expected] of badMail) test(`MAIL with ${text.slice(0, 30)} gets ${expected}`, () => assert.equal(mail(text), expected))

test('reads NOTIFY and ORCPT, and keeps ORCPT as it was written', () => {
  assert.deepEqual(rcpt('NOTIFY=success,DELAY ORCPT=rfc822;a+2Bb@c.example'), { notify: ['SUCCESS', 'DELAY'], orcpt: 'rfc822;a+2Bb@c.example' })
  assert.deepEqual(rcpt('NOTIFY=NEVER'), { notify: ['NEVER'] })
  assert.deepEqual(rcpt('ORCPT=utf-8;ü@c.example'), { orcpt: 'utf-8;ü@c.example' }) // RFC 6533
})

test('takes parameters as long as their RFC has it: 100 characters of ENVID, 500 of AUTH and of an ORCPT in any spelling of its type', () => {
  assert.deepEqual(mail(`ENVID=${'a'.repeat(100)} AUTH=${'a'.repeat(500)}`), { body: '7BIT', smtputf8: false, envid: 'a'.repeat(100) })
  const [latin, umlauts] = [`rfc822;${'a'.repeat(500)}`, `UTF-8;${'ü'.repeat(250)}`]
  assert.deepEqual([rcpt(`ORCPT=${latin}`), rcpt(`ORCPT=${umlauts}`), rcpt(`ORCPT=${umlauts}a`)], [{ orcpt: latin }, { orcpt: umlauts }, '501 5.5.4'])
  assert.deepEqual(rcpt('NOTIFY=FAILURE'), { notify: ['FAILURE'] })
})

test('says 40 characters of a parameter that nobody knows', () => {
  const read = readMailParameters(`${'X'.repeat(500)}=1`)
  assert.match(read.kind === 'refused' ? read.reply.text : '', /^[^X]*X{40}(?!X)/)
})

const badRcpt: readonly (readonly [string, string])[] = [
  ['SIZE=5', '555 5.5.4'], ['NOTIFY', '501 5.5.4'], ['NOTIFY=', '501 5.5.4'], ['NOTIFY=NEVER,SUCCESS', '501 5.5.4'], ['NOTIFY=SUCCESS,SUCCESS', '501 5.5.4'], ['NOTIFY=ALWAYS', '501 5.5.4'],
  ['ORCPT=a@b.example', '501 5.5.4'], ['ORCPT=rfc822;', '501 5.5.4'], ['ORCPT=rfc822;a+0D+0Ab', '501 5.5.4'], ['ORCPT=rfc822;a+zz', '501 5.5.4'], ['ORCPT=rfc822;ü@c.example', '501 5.5.4'], [`ORCPT=rfc822;${'a'.repeat(501)}`, '501 5.5.4'],
]
for (const [text, expected] of badRcpt) test(`RCPT with ${text.slice(0, 30)} gets ${expected}`, () => assert.equal(rcpt(text), expected))
