// Sessions of random octets for the receiving side: what a careless, a hostile and a good client says, in any order. From a seed alone.
import { chance } from './mails.ts'

export type Random = { number(): number; below(n: number): number; one<T>(of: readonly T[]): T; chance(p: number): boolean }

export const randomOf = (seed: number): Random => {
  const { next, below } = chance(seed)
  return { number: next, below, one: (of) => of[below(of.length)]!, chance: (p) => next() < p }
}

export type Known = { readonly hello: string; readonly login: readonly [string, string]; readonly asks: boolean; readonly isSubmission: boolean; readonly mayBeNever: boolean }

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const longLine = 1_000

/** The next octets that this client sends; what they mean depends on what came before. */
export const nextOctets = (random: Random, known: Known): Buffer => {
  const { one, chance } = random
  const often = () => transaction(random, known)
  const kinds = chance(0.7) ? [often] : [() => command(random, known), () => command(random, known), () => one(mails(random, known)), () => message(random), () => nonsense(random)]
  if (known.asks && chance(0.8)) return Buffer.from(`${answer(random, known)}\r\n`, 'latin1')
  return Buffer.from(one(kinds)(), 'latin1')
}

const eol = ({ chance }: Random): string => (chance(0.1) ? '\n' : '\r\n')
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

/** As people and programs spell one and the same command. */
const spelt = ({ one, chance }: Random, text: string): string => {
  if (chance(0.5)) return text
  const verb = /^[A-Z]+/.exec(text)?.[0] ?? ''
  const said = chance(0.2) ? verb.toLowerCase() + text.slice(verb.length) : text
  return one([said, said, said, said.replace(' ', '  '), said.replace(':', ': '), `${said} `, said.replace(' ', '\t')])
}

const transaction = (random: Random, known: Known): string => {
  const { below, chance, one } = random
  const lines = [one(mails(random, known)), ...Array.from({ length: 1 + below(6) }, () => one(recipients(random)))]
  if (chance(0.2)) lines.splice(below(lines.length), 0, command(random, known))
  if (chance(0.1)) lines.splice(below(lines.length), 1)
  const data = spelt(random, 'DATA') + eol(random)
  return lines.join('') + (chance(0.9) ? data + message(random) : '')
}

const locals = ['a', 'b.c', 'fred', 'ann+x', 'yes', 'no', 'soon', '"a b"', '"a@b"', String.raw`"q\"x"`, 'x%y', 'h!u']
const mails = (random: Random, { isSubmission, mayBeNever }: Known): string[] => {
  const { one, chance, below } = random
  const domain = isSubmission === chance(0.9) ? 'shop.example' : 'far.example'
  const kind = one(['ok', 'ok', 'ok', 'ok', 'late', 'late', 'full', 'unknown', 'throws', ...(mayBeNever ? ['never'] : [])])
  const parameters = chance(0.85) ? one(['', '', '', ' SIZE=100', ' BODY=8BITMIME', ' body=7bit', ' SMTPUTF8', ' RET=HDRS ENVID=e+2B1', ' RET=full', ' AUTH=<>', '  SIZE=5  BODY=8BITMIME', ' size=00 ret=FULL']) : one([' SIZE=99999', ' SIZE=1 SIZE=1', ' SIZE=', ' FOO=1', ' ENVID=', ' SMTPUTF8=', ' BODY=BINARYMIME', ' RET=X', ' NOTIFY=NEVER', ' __proto__=1', ' ENVID=a+00', ' =', 'SIZE=1', ' SIZE=-1', ' SIZE=9007199254740993'])
  const address = `${kind}${below(9)}@${domain}`
  const path = chance(0.85) ? one([`<${address}>`, `<${address}>`, `<${address}>`, address, '<>', `<@r.example,@s.example:${address}>`]) : one([`<${address}`, `<${kind}>`, utf8('<ok\u00fc@shop.example>'), '<postmaster>', '', `<${address}>x`, `<a..b@${domain}>`, `<${kind}"@${domain}>`, `<${kind}@shop.example@${domain}>`])
  return [spelt(random, `MAIL FROM:${path}${parameters}`) + eol(random)]
}

const recipients = (random: Random): string[] => {
  const { one, below, chance } = random
  const domain = one(['hosted.example', 'hosted.example', 'hosted.example', 'HOSTED.example', 'listed.example', 'asked.example', 'far.example', '[127.0.0.1]'])
  const address = `${one([...locals, `u${below(5)}`, `u${below(5)}`])}@${domain}`
  const parameters = chance(0.9) ? one(['', '', '', ' NOTIFY=NEVER', ' NOTIFY=success,delay', ' ORCPT=rfc822;x+2Bx', ' NOTIFY=FAILURE ORCPT=rfc822;y']) : one([' NOTIFY=', ' NOTIFY=NEVER,DELAY', ' NOTIFY=DELAY,DELAY', ' ORCPT=x', ' FOO', ' SIZE=1', ' NOTIFY=DELAY NOTIFY=DELAY', ' constructor=1'])
  const path = one([`<${address}>`, `<${address}>`, `<${address}>`, `<${address}>`, address.includes('"') ? `<${address}>` : address, `<@hosted.example:${address}>`, '<postmaster>', '<Postmaster>', '<>', '<u>', utf8('<\u00fc@hosted.example>'), `<${address}`])
  return [spelt(random, `RCPT TO:${path}${parameters}`) + eol(random)]
}

const command = (random: Random, known: Known): string => {
  const { one } = random
  const hello = [`EHLO ${known.hello}`, `EHLO ${known.hello}`, `EHLO ${known.hello}`, `HELO ${known.hello}`]
  const login = [`AUTH PLAIN ${base64(`\0${known.login.join('\0')}`)}`, 'AUTH PLAIN', 'AUTH LOGIN', `AUTH LOGIN ${base64(known.login[0])}`, `AUTH PLAIN ${base64(`\0${known.login[0]}\0wrong`)}`, 'AUTH PLAIN =', 'AUTH PLAIN !', 'AUTH LOGIN a b', 'AUTH XOAUTH2 =', 'AUTH OAUTHBEARER', 'AUTH', `AUTH PLAIN ${base64(`x\0${known.login.join('\0')}`)}`, `AUTH PLAIN ${'A'.repeat(longLine)}`]
  const rest = ['RSET', 'RSET', 'RSET x', 'NOOP', 'NOOP x', 'VRFY a', 'VRFY', 'EXPN a', 'HELP', 'HELP MAIL', 'DATA', 'DATA x', 'STARTTLS', 'STARTTLS', 'STARTTLS', 'STARTTLS x', 'EHLO', 'HELO a b', 'LHLO x', 'BDAT 5 LAST']
  return spelt(random, random.chance(0.04) ? 'QUIT' : one(one([hello, login, rest]))) + eol(random)
}

const answer = ({ one }: Random, { login }: Known): string =>
  one([base64(login[0]), base64(login[1]), base64(login[1]), base64(`\0${login.join('\0')}`), base64(`\0${login.join('\0')}`), '*', '', '=', 'QUIT', 'MAIL FROM:<a@b.example>', `${base64('x')} `, 'A'.repeat(longLine + 20), '\x00', base64('\0\0')])

const nonsense = ({ one, below }: Random): string =>
  one(['', ' ', 'XCLIENT ADDR=1.2.3.4', 'MAIL', 'RCPT', 'RCPT TO:', 'MAIL TO:<a@b.example>', 'RCPT FROM:<a@hosted.example>', 'NOOP \x00', 'NOOP \r x', 'NOOP \xff', '.', 'From: x', 'NOOP ' + 'x'.repeat(longLine - 5), 'NOOP ' + 'x'.repeat(longLine - 4), 'x'.repeat(longLine * (1 + below(3))), 'PROXY TCP4 1.2.3.4 1.2.3.4 1 1']) + '\r\n'

const message = (random: Random): string => {
  const { one, chance, below } = random
  const header = chance(0.75) ? one(['Subject: x\r\n\r\n', 'From: a@shop.example\r\nSubject: y\r\n\r\n', 'from : A <b@shop.example>\r\n\tX: folded\r\n\r\n', '', '\r\n', '.dot: x\r\n\r\n', '..\r\n\r\n']) : one([
    'Received: x\r\n'.repeat(below(6)) + '\r\n', 'X: y\r\n'.repeat(chance(0.5) ? 3 : 40) + '\r\n', `X: ${'z'.repeat(2_000)}\r\n\r\n`, 'From: evil@far.example\r\n\r\n', 'From: a@shop.example\r\nFrom: a@shop.example\r\n\r\n',
  ])
  const lines = Array.from({ length: below(12) }, () => one(['hello', '', '.', '..', '...x', '. ', '.x', 'RSET', 'QUIT', 'MAIL FROM:<ok9@shop.example>', 'x'.repeat(below(600)), '\xe4\xf6', utf8('\u00fc'), 'QUIT\r\nDATA']))
  const strays = ['\n', '\r', '\0', '\n.\n', '\n.\r\n', '\r.\r', '\r\n.\n', '\r\r\n', '\n\r\n.\r', '\r\n.\rx', '\r\0\n.\r\n']
  if (chance(0.12)) lines.splice(below(lines.length + 1), 0, one(strays))
  if (chance(0.05)) lines.push('y'.repeat(5_000))
  const body = header + lines.map((line) => (line === '.' ? '..' : line)).join('\r\n')
  return body === '' || body.endsWith('\r\n') ? `${body}.\r\n` : `${body}\r\n.\r\n`
}
