// The spelling of every subject, and its reading. Tokens are encoded so that a dot in a name cannot split them. Pure.
export type MailClass = 'transactional' | 'bulk'

/** `.` becomes `/`, which no domain holds; what NATS or we treat specially becomes `=XX`. */
export const encodeToken = (text: string): string =>
  text === '' ? '=' : text.replace(/[^A-Za-z0-9_:[\]-]/gu, (character) => (character === '.' ? '/' : hex(character)))

export const decodeToken = (token: string): string =>
  token === '=' ? '' : Buffer.from(token.replaceAll('/', '.').replace(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16))), 'latin1').toString()

const hex = (character: string): string => [...Buffer.from(character)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

/** A delivery's id `<message>.<n>` as one token. */
export const deliveryToken = (message: string, n: string): string => `${message}-${n}`
export const splitDeliveryToken = (token: string): { message: string; n: string } => {
  const dash = token.lastIndexOf('-')
  return { message: token.slice(0, dash), n: token.slice(dash + 1) }
}

export const createSubjects = (relay: string) => ({
  relay,
  /** All that is stored; `beat` and `ctl` are not. */
  stored: ['ready', 'later', 'held', 'body', 'end', 'done', 'own', 'epoch'].map((kind) => `${relay}.${kind}.>`),
  ready: (lane: number, mailClass: MailClass, group: string, n: number) => `${relay}.ready.${lane}.${mailClass}.${group}.${n}`,
  /** A record of `count` deliveries, of both classes. */
  pack: (lane: number, group: string, n: number, count: number) => `${relay}.ready.${lane}.pack.${group}.${n}.${count}`,
  packs: `${relay}.ready.*.pack.>`,
  readyOf: (lane: number) => `${relay}.ready.${lane}.>`,
  later: (lane: number, domain: string, delivery: string, turn: number) => `${relay}.later.${lane}.${encodeToken(domain)}.${delivery}.${turn}`,
  held: (lane: number, domain: string, delivery: string, turn: number) => `${relay}.held.${lane}.${encodeToken(domain)}.${delivery}.${turn}`,
  inLane: (kind: 'later' | 'held', lane: number) => `${relay}.${kind}.${lane}.>`,
  ofDelivery: (kind: 'later' | 'held', message: string, n: string) => `${relay}.${kind}.*.*.${deliveryToken(encodeToken(message), encodeToken(n))}.>`,
  body: (body: string, n: number) => `${relay}.body.${body}.${n}`,
  bodiesWith: (n: number) => `${relay}.body.*.${n}`,
  bodyOf: (body: string) => `${relay}.body.${body}.>`,
  /** Below the body, so that one purge removes both. */
  end: (body: string, n: string) => `${relay}.body.${body}.end.${n}`,
  endsOf: (body: string) => `${relay}.body.${body}.end.*`,
  ends: `${relay}.body.*.end.*`,
  /** Where 0.1.0 wrote them. */
  oldEnds: `${relay}.end.>`,
  oldEndsOf: (body: string) => `${relay}.end.${body}.>`,
  note: (lane: number, incarnation: string, n: number) => `${relay}.done.${lane}.${incarnation}.${n}`,
  notesOf: (lane: number) => `${relay}.done.${lane}.>`,
  notesBy: (lane: number, incarnation: string) => `${relay}.done.${lane}.${incarnation}.>`,
  notesByAll: (incarnation: string) => `${relay}.done.*.${incarnation}.>`,
  own: (lane: number) => `${relay}.own.${lane}`,
  owns: `${relay}.own.*`,
  epoch: (lane: number) => `${relay}.epoch.${lane}`,
  all: (kind: 'ready' | 'later' | 'held' | 'body' | 'done' | 'epoch') => `${relay}.${kind}.>`,
  beat: (pod: string) => `${relay}.beat.${encodeToken(pod)}`,
  beats: `${relay}.beat.*`,
  ctl: (lane: number) => `${relay}.ctl.${lane}`,
  lane: (subject: string) => Number(subject.split('.')[2]),
})
export type Subjects = ReturnType<typeof createSubjects>

/** What a ready subject belongs to: its group's prefix, and its index there. */
export const groupOf = (subject: string): { readonly prefix: string; readonly index: number } => {
  const tokens = subject.split('.')
  return { prefix: tokens.slice(0, groupTokens).join('.'), index: Number(tokens[groupTokens]) }
}
const groupTokens = 5 // relay.ready.<lane>.<class, or pack>.<group>
const packTokens = 7 // and .<n>.<count>

/** A delivery in a pack has the pack's subject and its place there. */
export const partOf = (pack: string, place: number): string => `${pack}.${place}`

/** The record in which the delivery of a subject lies, its place there, and how many lie there. */
export const recordOf = (subject: string): { readonly record: string; readonly place: number; readonly parts: number } => {
  const tokens = subject.split('.')
  return tokens.length > packTokens && tokens[3] === 'pack' ? { record: tokens.slice(0, packTokens).join('.'), place: Number(tokens[packTokens]), parts: countIn(tokens) } : { record: subject, place: 0, parts: 1 }
}
/** How many deliveries the record of a ready subject holds. */
export const countOfRecord = (subject: string): number => {
  const tokens = subject.split('.')
  return tokens.length === packTokens && tokens[3] === 'pack' ? countIn(tokens) : 1
}
const countIn = (tokens: readonly string[]): number => Number(tokens[packTokens - 1])
