// What was found out about names, and questions still to be asked. Pure.

export type Question = { readonly type: 'MX' | 'TXT' | 'A' | 'AAAA'; readonly name: string }

/** What DNS says of one name: MX as "10 mx.example", in order, so that the same set always looks the same. */
export type Fact = { readonly kind: 'records'; readonly values: readonly string[] } | { readonly kind: 'none' } | { readonly kind: 'failed'; readonly why: string }

/** Of what a zone says, as much as a zone that means well does, and what we look for before all else: with 64 KB to each of hundreds of questions one tenant's domains would outgrow the operator, which keeps them. */
export const keptOf = (values: readonly string[]): string[] => {
  let room = mostOfFact
  // a copy: a part of a string keeps the whole
  const texts = values.map((text) => (text.length > mostOfText ? Buffer.from(text.slice(0, mostOfText)).toString() : text)).toSorted()
  const inOrder = [...texts.filter(isPolicy), ...texts.filter((text) => !isPolicy(text))]
  return inOrder.filter((text) => (room -= text.length) >= 0).toSorted()
}

/** SPF, DMARC and the others say what they are; beside them lie hundreds of proofs of ownership. */
const isPolicy = (text: string): boolean => /^v=/i.test(text)
const mostOfFact = 16_384
/** A text as long as that says nothing of worth: an SPF record should fit 512 octets (RFC 7208 3.4). */
export const mostOfText = 4_096

/** By titleOfQuestion. */
export type Facts = ReadonlyMap<string, Fact>

export const titleOfQuestion = ({ type, name }: Question): string => `${type} ${name.toLowerCase()}`

/** undefined: nobody has asked yet. */
export type Look = (type: Question['type'], name: string) => Fact | undefined

/** Looks into the facts, and remembers what was not among them. */
export const lookInto = (facts: Facts): { readonly look: Look; readonly missing: () => Question[] } => {
  const missing = new Map<string, Question>()
  return {
    look: (type, name) => {
      const question = { type, name: name.replace(/\.$/, '').toLowerCase() }
      const title = titleOfQuestion(question)
      const fact = facts.get(title)
      if (fact === undefined) missing.set(title, question)
      return fact
    },
    missing: () => [...missing.values()],
  }
}

/** Addresses of a host; `failed` where a family could not be asked about, `undefined` while one was not. */
export type HostAddresses = { readonly kind: 'addresses'; readonly addresses: readonly string[] } | { readonly kind: 'failed'; readonly why: string }

export const addressesOf = (host: string, look: Look): HostAddresses | undefined => {
  const families = [look('A', host), look('AAAA', host)]
  if (families.some((fact) => fact === undefined)) return undefined
  const failed = families.find((fact) => fact?.kind === 'failed')
  if (failed?.kind === 'failed') return failed
  return { kind: 'addresses', addresses: families.flatMap((fact) => (fact?.kind === 'records' ? fact.values : [])) }
}
