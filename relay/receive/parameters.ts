// Reads the parameters of MAIL and RCPT: SIZE, BODY, SMTPUTF8, AUTH, RET, ENVID; NOTIFY, ORCPT. Pure.
import { reply, type Reply } from '../decide/index.ts'

export type MailParameters = {
  readonly size?: number
  readonly body: '7BIT' | '8BITMIME'
  readonly smtputf8: boolean
  readonly ret?: 'FULL' | 'HDRS'
  readonly envid?: string
}
export type RecipientParameters = { readonly notify?: readonly ('NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY')[]; readonly orcpt?: string }
export type Read<T> = { readonly kind: 'read'; readonly value: T } | { readonly kind: 'refused'; readonly reply: Reply }

type Raw = ReadonlyMap<string, string | undefined>
type Check = (value: string | undefined) => string | undefined // why it is bad

const xtext = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/ // RFC 3461 4
const escapedControl = /\+(?:[01][0-9A-F]|7F|[89][0-9A-F])/

const isXtext = (what: string, longest: number): Check => (value) => {
  if (value === undefined || value === '') return 'a value is needed'
  if (value.length > longest) return `longer than ${longest} characters`
  return xtext.test(value) && !escapedControl.test(value) ? undefined : `${what} is not xtext of printable characters`
}
const oneOf = (...words: string[]): Check => (value) => (value !== undefined && words.includes(value.toUpperCase()) ? undefined : `one of ${words.join(', ')}`)
const noValue: Check = (value) => (value === undefined ? undefined : 'takes no value')

const mailChecks: Readonly<Record<string, Check>> = {
  SIZE: (value) => (value !== undefined && /^\d{1,20}$/.test(value) ? undefined : 'a number of up to 20 digits'), // RFC 1870 3
  BODY: oneOf('7BIT', '8BITMIME'), // RFC 6152
  SMTPUTF8: noValue, // RFC 6531 3.4
  AUTH: isXtext('it', 500), // RFC 4954 5: <> or an address, taken and not passed on
  RET: oneOf('FULL', 'HDRS'), // RFC 3461 4.3
  ENVID: isXtext('it', 100), // RFC 3461 4.4
}

const notifyWords = ['SUCCESS', 'FAILURE', 'DELAY']
const recipientChecks: Readonly<Record<string, Check>> = {
  NOTIFY: (value) => { // RFC 3461 4.1
    const words = value?.toUpperCase().split(',') ?? []
    const good = words.join() === 'NEVER' || (words.length > 0 && words.every((word) => notifyWords.includes(word)) && new Set(words).size === words.length)
    return good ? undefined : 'NEVER, or some of SUCCESS, FAILURE, DELAY'
  },
  ORCPT: (value) => { // RFC 3461 4.2
    const [, type, address] = /^([A-Za-z0-9-]+);(.+)$/s.exec(value ?? '') ?? []
    if (address === undefined) return 'type;address is needed'
    return type!.toLowerCase() === 'utf-8' && /^[!-*,-<>-~\u00a0-\u{10ffff}]+$/u.test(address) && Buffer.byteLength(address) <= 500 ? undefined : isXtext('the address', 500)(address)
  },
}

export const readMailParameters = (text: string): Read<MailParameters> => {
  const raw = readAll(text, mailChecks)
  if (raw.kind === 'refused') return raw
  const get = (key: string) => raw.value.get(key)
  const size = get('SIZE')
  const envid = get('ENVID')
  const ret = get('RET')?.toUpperCase() as 'FULL' | 'HDRS' | undefined
  const body = get('BODY')?.toUpperCase() === '8BITMIME' ? '8BITMIME' as const : '7BIT' as const
  return { kind: 'read', value: { ...(size !== undefined && { size: Number(size) }), body, smtputf8: raw.value.has('SMTPUTF8'), ...(ret && { ret }), ...(envid !== undefined && { envid }) } }
}

export const readRecipientParameters = (text: string): Read<RecipientParameters> => {
  const raw = readAll(text, recipientChecks)
  if (raw.kind === 'refused') return raw
  const notify = raw.value.get('NOTIFY')?.toUpperCase().split(',') as RecipientParameters['notify']
  const orcpt = raw.value.get('ORCPT')
  return { kind: 'read', value: { ...(notify && { notify }), ...(orcpt !== undefined && { orcpt }) } }
}

const readAll = (text: string, checks: Readonly<Record<string, Check>>): Read<Raw> => {
  const found = new Map<string, string | undefined>()
  for (const word of text === '' ? [] : text.split(/ +/)) {
    const equals = word.indexOf('=')
    const key = (equals < 0 ? word : word.slice(0, equals)).toUpperCase()
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    if (!check) return { kind: 'refused', reply: reply('unknown-parameter', { parameter: key.slice(0, 40) }) } // RFC 5321 4.1.1.11
    const value = equals < 0 ? undefined : word.slice(equals + 1)
    const why = found.has(key) ? 'given twice' : check(value)
    if (why !== undefined) return { kind: 'refused', reply: reply('bad-parameter', { parameter: key, why }) }
    found.set(key, value)
  }
  return { kind: 'read', value: found }
}
