// Sizes of manifests: "20Gi", "512Mi", "100M", as Kubernetes quantities of bytes. The one parser; pure.
import { z } from 'zod'
import { proven } from './schema.ts'

const factors: Record<string, number> = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 }
const sizePattern = /^[1-9][0-9]{0,11}(k|M|G|T|Ki|Mi|Gi|Ti)?$/

/** Bytes; undefined where the text is no size, or one beyond what can be counted. */
export const parseSize = (text: string): number | undefined => {
  if (!sizePattern.test(text)) return undefined
  const [, count, unit] = /^([0-9]+)([A-Za-z]*)$/.exec(text)!
  const bytes = Number(count) * factors[unit!]!
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Bytes of a size that its schema has already accepted. */
export const bytesOf = (text: string): number => {
  const bytes = parseSize(text)
  if (bytes === undefined) throw new RangeError(`${text} is no size`)
  return bytes
}

/** A size field of at least `least`. */
export const size = (description: string, least: string): z.ZodString =>
  proven(z.string().max(16).regex(sizePattern, 'a size in bytes such as 20Gi or 512Mi'), `${description} A size in bytes, with Ki, Mi, Gi, Ti, k, M, G or T; at least ${least}.`, [
    {
      cel: `quantity(self).compareTo(quantity('${least}')) >= 0`,
      message: `a size of at least ${least}`,
      holds: (text) => !sizePattern.test(text) || (parseSize(text) ?? 0) >= bytesOf(least), // the pattern speaks for itself
    },
  ])
