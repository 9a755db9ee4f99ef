// What a listener of sessions-at-random.test.ts has to answer to any octets and hand to the queue, from the RFCs and docs/replies.md alone: a second, plain receiver without sockets. Pure.

export type ModelRecipient = { readonly mailbox: string; readonly notify?: readonly string[]; readonly orcpt?: string }
export type ModelMail = { readonly from: string; readonly to: readonly ModelRecipient[]; readonly envid?: string; readonly ret?: string; readonly smtputf8: boolean; readonly body: string; readonly content: string; readonly sender?: string }
export type ModelLimits = { readonly lineBytes: number; readonly messageBytes: number; readonly headerBytes: number; readonly headers: number; readonly received: number; readonly errors: number; readonly recipientsPerMessage: number; readonly messagesPerConnection: number }
export type ModelListener = { readonly name: string; readonly auth: readonly string[]; readonly offersTls: boolean; readonly implicitTls: boolean; readonly normalises: boolean; readonly limits: ModelLimits }

type Transaction = { from: string; envid?: string; ret?: string; smtputf8: boolean; body: string; to: Map<string, ModelRecipient>; refused: number; last: boolean }
type Codes = string | readonly string[]

const ended = Buffer.from('\r\n.\r\n')
const idle = new Set(['NOOP', 'RSET', 'VRFY', 'HELP', 'HELO', 'EHLO', 'EXPN'])

export class ReceivingModel {
  /** Of each reply what it may be, `code enhanced`; a code alone has no enhanced code. */
  readonly replies: Codes[] = ['220']
  /** What the queue keeps. */
  readonly mails: ModelMail[] = []
  phase: 'command' | 'data' | 'starting-tls' | 'closed' | 'waiting' = 'command'
  tls: boolean
  sender = false
  hello = false
  transaction: Transaction | undefined
  readonly #listener: ModelListener
  readonly #secrets: { readonly login: readonly [string, string] }
  #ask: ((line: string) => void) | undefined
  #buffer: Buffer = Buffer.alloc(0)
  #skips = false
  #verb = ''
  #errors = 0
  #idle = 0
  #spared = 0
  #messages = 0

  constructor(listener: ModelListener, login: readonly [string, string]) {
    this.#listener = listener
    this.#secrets = { login }
    this.tls = listener.implicitTls
  }

  get asks(): boolean {
    return this.#ask !== undefined
  }

  feed(bytes: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, bytes])
    while (this.phase === 'command' || this.phase === 'data') if (!(this.phase === 'data' ? this.#takeData() : this.#takeLine())) return
  }

  /** RFC 3207 4.2: what came in clear is forgotten, said and unsaid. */
  secured(): void {
    this.#buffer = Buffer.alloc(0)
    this.phase = 'command'
    this.tls = true
    this.hello = this.sender = false
    this.transaction = undefined
  }

  #takeLine(): boolean {
    const longest = this.#listener.limits.lineBytes
    const at = this.#buffer.indexOf(10)
    if (at < 0) {
      if (this.#skips) this.#buffer = Buffer.alloc(0)
      else if (this.#buffer.length > longest + 1) this.#tooLong(true)
      return false
    }
    const line = this.#buffer.subarray(0, this.#buffer[at - 1] === 13 ? at - 1 : at)
    if (!this.#skips && line.length > longest) this.#tooLong(false)
    else if (!this.#skips) this.#line(line)
    this.#skips = false
    this.#buffer = this.#buffer.subarray(at + 1)
    return true
  }

  #tooLong(isOpen: boolean): void {
    const ofAuth = this.#ask !== undefined || /^auth /i.test(this.#buffer.toString('latin1', 0, 5))
    this.#ask = undefined
    this.#verb = ''
    this.#skips = isOpen
    this.#say(ofAuth ? '500 5.5.6' : '500 5.5.2')
  }

  #line(line: Buffer): void {
    const ask = this.#ask
    this.#ask = undefined
    this.#verb = ask ? 'AUTH' : ''
    if (ask) return ask(line.toString('latin1'))
    const text = line.toString('utf8').replaceAll('\t', ' ').trimEnd()
    if (!Buffer.from(line.toString('utf8')).equals(line) || /[\x00-\x1f\x7f-\x9f]/.test(text)) return this.#say('501 5.5.2')
    if (/^[A-Z]+ \S+ HTTP\/\d/.test(text)) return this.#close('421 4.7.0')
    const [, verb = '', argument = ''] = /^(\S*) *(.*)$/s.exec(text) ?? []
    this.#verb = verb.toUpperCase()
    return this.#command(argument)
  }

  #command(argument: string): void {
    switch (this.#verb) {
      case 'HELO': case 'EHLO': return this.#greet(argument)
      case 'MAIL': return this.#mail(argument)
      case 'RCPT': return this.#rcpt(argument)
      case 'DATA': return this.#data(argument)
      case 'RSET':
        if (argument === '') this.transaction = undefined
        return this.#say(argument === '' ? '250 2.0.0' : '501 5.5.4')
      case 'NOOP': return this.#say('250 2.0.0')
      case 'VRFY': return this.#say(argument === '' ? '501 5.5.4' : '252 2.0.0')
      case 'EXPN': return this.#say('502 5.5.1')
      case 'HELP': return this.#say('214 2.0.0')
      case 'QUIT': return this.#close('221 2.0.0')
      case 'STARTTLS': return this.#startTls(argument)
      case 'AUTH': return this.#auth(argument)
      default: return this.#say('500 5.5.2')
    }
  }

  #greet(argument: string): void {
    if (!/^\S{1,255}$/.test(argument)) return this.#say('501 5.5.4')
    this.hello = true
    this.transaction = undefined
    return this.#say('250')
  }

  #startTls(argument: string): void {
    if (argument !== '') return this.#say('501 5.5.4')
    if (this.tls) return this.#say('503 5.5.1')
    if (!this.#listener.offersTls) return this.#say('502 5.5.1')
    this.replies.push('220 2.0.0')
    this.phase = 'starting-tls'
  }

  #mail(argument: string): void {
    if (!this.hello || this.transaction) return this.#say('503 5.5.1')
    if (this.#messages >= this.#listener.limits.messagesPerConnection) return this.#close('421 4.7.0')
    const text = /^from *:(.*)$/is.exec(argument)?.[1]
    if (text === undefined) return this.#say('501 5.5.4')
    const path = readPath(text)
    if (path === undefined || path.mailbox === undefined) return this.#say('501 5.1.7')
    const parameters = readParameters(path.rest, mailParameters)
    if (typeof parameters === 'string') return this.#say(parameters)
    const smtputf8 = parameters.has('SMTPUTF8')
    if (/[^\x00-\x7f]/.test(path.mailbox) && !smtputf8) return this.#say('550 5.6.7')
    if (Number(parameters.get('SIZE') ?? 0) > this.#listener.limits.messageBytes) return this.#say('552 5.3.4')
    if (this.sender && path.mailbox !== '' && !path.mailbox.endsWith('@shop.example')) return this.#say('550 5.7.1')
    const [envid, ret] = [parameters.get('ENVID'), parameters.get('RET')?.toUpperCase()]
    this.transaction = { from: path.mailbox, ...(envid !== undefined && { envid }), ...(ret !== undefined && { ret }), smtputf8, body: parameters.get('BODY')?.toUpperCase() ?? '7BIT', to: new Map(), refused: 0, last: false }
    return this.#say('250 2.1.0')
  }

  #rcpt(argument: string): void {
    const { transaction } = this
    if (!transaction) return this.#say('503 5.5.1')
    const text = /^to *:(.*)$/is.exec(argument)?.[1]
    if (text === undefined) return this.#say('501 5.5.4') // not about a recipient at all
    const [code, recipient] = this.#recipient(transaction, text)
    if (recipient && !transaction.to.has(recipient.mailbox)) transaction.to.set(recipient.mailbox, recipient)
    if (!recipient) {
      transaction.refused += 1
      transaction.last = true
    }
    return this.#say(code)
  }

  #recipient({ from, to, smtputf8 }: Transaction, text: string): [string, ModelRecipient?] {
    const path = readPath(text)
    const mailbox = path?.isPostmaster === true ? 'postmaster@hosted.example' : path?.mailbox
    if (to.size >= this.#listener.limits.recipientsPerMessage && !to.has(mailbox ?? '')) return ['452 4.5.3']
    if (path === undefined || mailbox === undefined || mailbox === '') return ['501 5.1.3']
    const parameters = readParameters(path.rest, recipientParameters)
    if (typeof parameters === 'string') return [parameters]
    if (/[^\x00-\x7f]/.test(mailbox) && !smtputf8) return ['553 5.6.7']
    const [notify, orcpt] = [parameters.get('NOTIFY')?.toUpperCase().split(','), parameters.get('ORCPT')]
    const refused = this.#refusal(from, mailbox)
    return refused === undefined ? ['250 2.1.5', { mailbox, ...(notify && { notify }), ...(orcpt !== undefined && { orcpt }) }] : [refused]
  }

  /** Nothing relays without a right. */
  #refusal(from: string, mailbox: string): string | undefined {
    const at = mailbox.lastIndexOf('@')
    const [local, domain] = [mailbox.slice(0, at), mailbox.slice(at + 1)]
    const isOpen = this.#listener.auth.length === 0
    const isHosted = domain === 'hosted.example' || (isOpen && ['listed.example', 'asked.example'].includes(domain))
    if (!((isOpen || this.sender) && isHosted) && !(this.sender && from !== '')) return '550 5.7.1'
    if (domain === 'listed.example' && !['fred', 'ann'].includes(local.split('+')[0]!)) return '550 5.1.1'
    if (domain !== 'asked.example' || local === 'yes') return undefined
    return local === 'no' ? '550 5.1.1' : '451 4.4.1'
  }

  #data(argument: string): void {
    if (argument !== '') return this.#say('501 5.5.4')
    if (!this.transaction) return this.#say('503 5.5.1')
    if (this.transaction.to.size === 0) return this.#say(this.transaction.last ? '554 5.5.1' : '503 5.5.1')
    this.replies.push('354')
    this.phase = 'data'
  }

  #takeData(): boolean {
    const whole = Buffer.concat([Buffer.from('\r\n'), this.#buffer])
    const at = whole.indexOf(ended)
    if (at < 0) return false
    const raw = whole.subarray(2, at + 2).toString('latin1')
    this.#buffer = whole.subarray(at + 5)
    this.#verb = 'DATA'
    this.phase = 'command'
    const transaction = this.transaction!
    this.transaction = undefined
    this.#mailEnds(transaction, raw)
    return true
  }

  #mailEnds(transaction: Transaction, raw: string): void {
    const lines = raw.split('\r\n').map((line) => (line.startsWith('.') ? line.slice(1) : line))
    const content = lines.join('\r\n').replace(/\r\n|\r|\n/g, (found) => (found === '\r' ? ' ' : '\r\n'))
    const faults = this.#faults(raw, content)
    if (faults.length > 0) return this.#say(faults)
    const answer = answerTo(transaction.from)
    if (answer === undefined) return void (this.phase = 'waiting')
    const { to, from, envid, ret, smtputf8 } = transaction
    const body = /[^\x00-\x7f]/.test(content) ? '8BITMIME' : transaction.body
    if (answer !== '250 2.0.0') return this.#say(answer)
    this.mails.push({ from, to: [...to.values()], ...(envid !== undefined && { envid }), ...(ret !== undefined && { ret }), smtputf8, body, content, ...(this.sender && { sender: 'shop/shop' }) })
    this.#messages += 1
    this.#errors = this.#idle = this.#spared = 0
    return this.#say(answer)
  }

  #faults(raw: string, content: string): string[] {
    const { limits, normalises } = this.#listener
    const header = `\r\n${content}`.split('\r\n\r\n')[0]!.slice(2)
    const fields = /^[!-9;-~]+[ \t]*:/.test(header) ? header.split(/\r\n(?![ \t])/) : []
    const named = (name: RegExp) => fields.filter((field) => name.test(field))
    const from = named(/^from[ \t]*:/i)
    const strange = from.some((field) => !field.includes('@shop.example'))
    return [
      ...((!normalises && /(?<!\r)\n|\r(?!\n)/.test(raw)) || raw.includes('\0') ? ['554 5.6.0'] : []),
      ...(content.length > limits.messageBytes ? ['552 5.3.4'] : []),
      ...(header.length > limits.headerBytes || fields.length > limits.headers || (this.sender && from.length > 1) ? ['554 5.6.0'] : []),
      ...(named(/^received[ \t]*:/i).length > limits.received ? ['554 5.4.6'] : []),
      ...(this.sender && strange ? ['550 5.7.1'] : []),
    ]
  }

  #auth(argument: string): void {
    const { auth } = this.#listener
    if (auth.length === 0) return this.#say('502 5.5.1')
    if (!this.tls) return this.#say('538 5.7.11')
    if (!this.hello || this.sender || this.transaction) return this.#say('503 5.5.1')
    const [mechanism = '', initial, more] = argument.split(/ +/)
    if (mechanism === '' || more !== undefined) return this.#say('501 5.5.4')
    const name = mechanism.toUpperCase()
    if (!auth.includes(name)) return this.#say('504 5.5.4')
    if (name === 'PLAIN') return this.#answered(initial, (text) => this.#plain(text))
    return this.#answered(initial, (user) => this.#question((password) => this.#login(user, password)))
  }

  #answered(initial: string | undefined, then: (text: string) => void): void {
    if (initial === undefined) return this.#question(then)
    return this.#decode(initial === '=' ? '' : initial, then)
  }

  #question(then: (text: string) => void): void {
    this.#ask = (line) => (line === '*' ? this.#say('501 5.7.0') : this.#decode(line, then))
    this.replies.push('334')
  }

  #decode(line: string, then: (text: string) => void): void {
    const text = Buffer.from(line, 'base64')
    return text.toString('base64') === line ? then(text.toString('utf8')) : this.#say('501 5.5.2')
  }

  #plain(text: string): void {
    const [asWhom, user, password, ...more] = text.split('\0')
    if (password === undefined || more.length > 0) return this.#say('501 5.5.2')
    return asWhom === '' || asWhom === user ? this.#login(user!, password) : this.#say('535 5.7.8')
  }

  #login(user: string, password: string): void {
    const [rightUser, rightPassword] = this.#secrets.login
    this.sender = user === rightUser && password === rightPassword
    return this.#say(this.sender ? '235 2.7.0' : '535 5.7.8')
  }

  #say(codes: Codes): void {
    this.replies.push(codes)
    const [code, all] = [Number([codes].flat()[0]!.slice(0, 3)), this.#listener.limits]
    const { transaction } = this
    if (this.#verb === 'RCPT' && code >= 400 && transaction && transaction.refused <= transaction.to.size && this.#spared < all.recipientsPerMessage) this.#spared += 1
    else if (code >= 500 && this.#verb !== 'RCPT') this.#errors += 1
    else if (code >= 400 || idle.has(this.#verb)) this.#idle += 1
    if (this.#errors >= all.errors || this.#idle >= 10 * all.errors) this.#close('421 4.7.0')
  }

  #close(last: string): void {
    this.replies.push(last)
    this.phase = 'closed'
  }
}

/** What the queue answers is told by the sender's address; undefined: it never does. */
export const answerTo = (from: string): string | undefined => {
  const kind = /^[a-z]+/.exec(from)?.[0] ?? ''
  if (kind === 'never') return undefined
  if (kind === 'full') return '452 4.3.1'
  return ['unknown', 'throws'].includes(kind) ? '451 4.3.0' : '250 2.0.0'
}

type Path = { readonly mailbox?: string; readonly isPostmaster?: boolean; readonly rest: string }

const atom = String.raw`[A-Za-z0-9!#$%&'*+/=?^_\x60{|}~\u00a0-\u{10ffff}-]+`
const address = String.raw`(?:"(?:[^"\\]|\\.)+"|${atom}(?:\.${atom})*)@(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9.]+\])`
const path = new RegExp(String.raw`^ *(?:<(?:@[^,:<> ]+(?:,@[^,:<> ]+)*:)?(?<inside>${address}|postmaster|)>|(?<plain>${address}|postmaster))(?<rest> .*)?$`, 'isu')

const readPath = (text: string): Path | undefined => {
  const { inside, plain, rest = '' } = path.exec(text)?.groups ?? {}
  const found = inside ?? plain
  if (found === undefined || (found === '' && !/^ *<>/.test(text))) return undefined
  if (found.toLowerCase() === 'postmaster') return { isPostmaster: true, rest: rest.trim() }
  const at = found.lastIndexOf('@')
  const local = found.startsWith('"') ? found.slice(1, at - 1).replace(/\\(.)/g, '$1') : found.slice(0, at)
  return { mailbox: found === '' ? '' : `${local}@${found.slice(at + 1).toLowerCase()}`, rest: rest.trim() }
}

const xtext = String.raw`(?:[!-*,-<>-~]|\+[2-6][0-9A-F]|\+7[0-9A-E])`
const mailParameters: Record<string, RegExp> = { SIZE: /^=\d{1,20}$/, BODY: /^=(?:7BIT|8BITMIME)$/i, SMTPUTF8: /^$/, RET: /^=(?:FULL|HDRS)$/i, ENVID: new RegExp(`^=${xtext}{1,100}$`), AUTH: new RegExp(`^=${xtext}{1,500}$`) }
const recipientParameters: Record<string, RegExp> = { NOTIFY: /^=(?:NEVER|(?!.*(SUCCESS|FAILURE|DELAY).*\1)(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*)$/i, ORCPT: new RegExp(`^=[A-Za-z0-9-]+;${xtext}{1,500}$`) }

const readParameters = (text: string, known: Record<string, RegExp>): Map<string, string> | string => {
  const found = new Map<string, string>()
  for (const word of text.split(/ +/).filter(Boolean)) {
    const [, name = '', value = ''] = /^([^=]*)(.*)$/s.exec(word) ?? []
    const key = name.toUpperCase()
    if (!Object.hasOwn(known, key)) return '555 5.5.4'
    if (found.has(key) || !known[key]!.test(value)) return '501 5.5.4'
    found.set(key, value.slice(1))
  }
  return found
}
