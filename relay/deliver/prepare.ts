// The message as one host gets it: converted where it must be, then signed (RFC 6376 5.3 wants that order). Each form is made once per attempt.
import type { Delivery } from '../queue/index.ts'
import type { Log } from '../report/index.ts'
import type { Snapshot } from '../snapshot/index.ts'
import type { Attempt } from './attempt.ts'
import { withHeaders, type Content } from './content.ts'
import { convertContent, returningHeader, survey } from './convert.ts'
import { notConvertible } from './fit.ts'
import { createSigning, signerOf, type Signer } from './sign.ts'

type Made = Awaited<ReturnType<Attempt['contentFor']>>

export const createPreparation = ({ log }: { readonly log: Log }, now: () => number) => {
  const signing = createSigning(now)
  const signed = async (delivery: Delivery, form: 'as-is' | 'converted', signer: Signer | undefined, content: Content): Promise<Made> => {
    if (signer === undefined) return { content }
    const { headers, fault } = await signing(delivery, form, signer, content)
    if (fault !== undefined) log.error('UNSIGNED', { message: delivery.message, domain: signer.domain, reason: fault })
    return { content: withHeaders(content, headers) }
  }
  return (snapshot: Snapshot, delivery: Delivery, content: Content): Attempt['contentFor'] => {
    const signer = signerOf(snapshot, delivery, content.head)
    const asIs = once(() => signed(delivery, 'as-is', signer, content))
    const inSevenBits = once(async (): Promise<Made | { readonly unsafe: string }> => {
      const first = await survey(content)
      const fit = first.kind === 'unsafe' && isNotice(delivery) ? await returningHeader(content) : content
      const found = fit === content ? first : await survey(fit)
      return found.kind === 'unsafe' ? { unsafe: found.why } : signed(delivery, 'converted', signer, await convertContent(fit, found.parts))
    })
    return async (fit, host): Promise<Made> => {
      if (!fit.convert) return asIs()
      const made = await inSevenBits()
      return 'unsafe' in made ? { unfit: notConvertible(host, made.unsafe) } : made
    }
  }
}

const isNotice = ({ envelope: { mailFrom, source } }: Delivery): boolean => mailFrom === null && source === 'local'

const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
