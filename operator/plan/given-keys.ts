// The DKIM keys of a MailDomain that brings its own, in place of generated ones. Pure.
import type { MailDomain } from '../../crds/index.ts'
import type { MadeDkimKey } from './input.ts'
import { dkimKeyOf } from './policies/key-pair.ts'
import type { World } from './world.ts'

/** Undefined where the keys are made for it. Of a Secret that lacks something, what is there: the domain is refused for the rest. */
export const givenKeysOf = ({ spec, metadata }: MailDomain, world: World): Pick<MadeDkimKey, 'selector' | 'algorithm' | 'privateKey'>[] | undefined => {
  const { keySecretRef, algorithms = [] } = spec.outbound?.dkim ?? {}
  if (keySecretRef === undefined) return undefined
  const data = world.secret(metadata.namespace, keySecretRef.name)?.data ?? {}
  return [...new Set(algorithms)].flatMap((algorithm) => {
    const [privateKey, selector] = [dkimKeyOf(data[`${algorithm}.key`] ?? '', algorithm), data[`${algorithm}.selector`]?.trim()]
    return privateKey === undefined || selector === undefined ? [] : [{ selector, algorithm, privateKey }]
  })
}
