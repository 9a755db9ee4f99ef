// DKIM (RFC 6376, RFC 8463) at delivery: with today's keys however long the message waited, and after any conversion.
// A message is signed once for all its deliveries of a process; big bodies are read in pieces, and the event loop turns between them.
import { Readable } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import { dkimSign } from 'mailauth/lib/dkim/sign.js' // DKIM by the author of nodemailer and smtp-server, MIT
import type { Delivery } from '../queue/index.ts'
import { anySigns, atAndAbove, byDomain, readHeaderSection, type DkimKey, type HostedDomain, type Snapshot } from '../snapshot/index.ts'
import { headerSection, type Content } from './content.ts'

export type Signer = { readonly domain: string; readonly keys: readonly DkimKey[] }

/**
 * Whose signature a message gets: the MailDomain of the header From (or above it), else of the envelope sender.
 * None for what a stranger sent us: a signature says that we vouch for the sender.
 */
export const signerOf = (snapshot: Snapshot, delivery: Delivery, head: Buffer): Signer | undefined => {
  if (!anySigns(snapshot.domains) || !isVouchedFor(snapshot, delivery)) return undefined
  const domains = [fromDomain(head), delivery.envelope.mailFrom?.domain].filter((domain) => domain !== undefined)
  for (const domain of domains) {
    const above = atAndAbove(snapshot.domains, domain)
    const found = above.find((one) => one.dkim.length > 0 && one.namespace === above[0]!.namespace) // nobody signs for the domain of another namespace
    if (found !== undefined && (above[0]!.domain === domain || signsBelow(snapshot, delivery, found))) return { domain: found.domain, keys: found.dkim }
  }
  return undefined
}

/** What has no MailDomain and is below that of a tenant is another tenant's only by foreignDomains of the MailRelay: its own domains may sign for that, nobody else's. */
const signsBelow = ({ relay }: Snapshot, { envelope: { sender } }: Delivery, { namespace }: HostedDomain): boolean =>
  sender === undefined || namespace === relay.namespace || sender.startsWith(`${namespace}/`)

/** Somebody identified, ourselves, or an Allow rule: strangers pass for domains hosted when they came, and what is hosted now says nothing of that. */
const isVouchedFor = ({ domains }: Snapshot, { envelope, domain }: Delivery): boolean =>
  envelope.sender !== undefined || envelope.source === 'local' || (envelope.stranger !== true && byDomain(domains).get(domain)?.inbound === undefined)

/** Of the first address in From (RFC 5322 3.6.2), read as it was when it was held to the sender's addresses. Two From fields, or none to be read: undefined. */
export const fromDomain = (head: Buffer): string | undefined => {
  const { from: [first], fromFields } = readHeaderSection(headerSection(head))
  return fromFields === 1 && typeof first === 'object' ? first.domain : undefined
}

type Signed = { readonly headers: Buffer; readonly fault?: string }
const mostKept = 500

export const createSigning = (now: () => number) => {
  const kept = new Map<string, { readonly keys: Signer['keys']; readonly made: Promise<Signed> }>()
  return (delivery: Delivery, form: 'as-is' | 'converted', signer: Signer, content: Content): Promise<Signed> => {
    const key = `${delivery.message} ${form} ${signer.domain}`
    const known = kept.get(key)
    if (known !== undefined && isDeepStrictEqual(known.keys, signer.keys)) return known.made // keys, not their names: one may be replaced under its selector
    const made = sign(signer, content, now())
    kept.set(key, { keys: signer.keys, made })
    if (kept.size > mostKept) kept.delete(kept.keys().next().value!)
    made.catch(() => kept.delete(key)) // the message could not be read: the attempt says so
    return made
  }
}

export const sign = async ({ domain, keys }: Signer, content: Content, now: number): Promise<Signed> => {
  // the library's work grows with the square of its lines
  if (content.whole === undefined && !content.head.includes('\r\n\r\n')) return { headers: Buffer.alloc(0), fault: 'the header section is over 64 KiB' }
  const result = await dkimSign(content.whole ?? Readable.from(inPieces(content)), {
    canonicalization: 'relaxed/relaxed',
    signTime: new Date(now),
    signatureData: keys.map(({ selector, algorithm, privateKey }) => ({ signingDomain: domain, selector, privateKey, algorithm: `${algorithm}-sha256` })),
  } as Parameters<typeof dkimSign>[1]) // its types want one signature's fields at the top as well; its code does not
  const fault = result.errors?.map(({ selector, err }) => `${selector ?? ''}: ${err.message}`).join('; ')
  return { headers: Buffer.from(result.signatures), ...(fault !== undefined && fault !== '' && { fault }) }
}

const pieceBytes = 64 * 1024

async function* inPieces(content: Content): AsyncGenerator<Buffer> {
  for await (const chunk of content.open()) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      yield chunk.subarray(at, at + pieceBytes)
      await new Promise(setImmediate)
    }
  }
}
