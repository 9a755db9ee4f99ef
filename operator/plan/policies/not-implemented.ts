// Fields that are part of the API and wait for a later release: refused by name, so that nobody relies on what is not there.
import type { AnyManifest, KindName } from '../../../crds/index.ts'
import type { Violation } from '../condition.ts'

type Waiting = { readonly kind: KindName; readonly field: string; readonly path: readonly string[]; readonly values?: readonly string[] }

/** The one list. `[]` in a path stands for every entry of a list. */
export const waitingFields: readonly Waiting[] = [
  { kind: 'MailDomain', field: 'inbound.trust', path: ['inbound', 'trust'] },
  { kind: 'MailDomain', field: 'inbound.filterRef', path: ['inbound', 'filterRef'] },
  { kind: 'MailDomain', field: 'outbound.returnPath', path: ['outbound', 'returnPath'] },
  { kind: 'MailSender', field: 'identity.podSelector', path: ['identity', 'podSelector'] },
  { kind: 'RelayPolicy', field: 'action: Redirect', path: ['rules', '[]', 'action'], values: ['Redirect'] },
  { kind: 'DeliveryRoute', field: 'tls.mode: DANE|MTASTS', path: ['nextHops', '[]', 'tls', 'mode'], values: ['DANE', 'MTASTS'] },
  { kind: 'MailDomain', field: 'tls.mode: DANE|MTASTS', path: ['inbound', 'deliverTo', 'hosts', '[]', 'tls', 'mode'], values: ['DANE', 'MTASTS'] },
]

/** Every waiting field that the object uses, whatever else is wrong with it. */
export const fieldIsNotImplemented = (object: Pick<AnyManifest, 'kind'> & { readonly spec: unknown }): Violation[] =>
  waitingFields
    .filter(({ kind }) => kind === object.kind)
    .flatMap(({ field, path, values }) => findAll(object.spec, path, ['spec']).filter(({ value }) => values === undefined || values.includes(String(value))).map(({ at }) => notImplemented(field, at)))

const notImplemented = (field: string, path: readonly PropertyKey[]): Violation => ({
  reason: 'NotImplemented',
  message: `${field} is not implemented in this release; leave it out`,
  path,
})

type Found = { readonly value: unknown; readonly at: readonly PropertyKey[] }

const findAll = (value: unknown, [step, ...rest]: readonly string[], at: readonly PropertyKey[]): Found[] => {
  if (value === undefined || value === null) return []
  if (step === undefined) return [{ value, at }]
  if (step === '[]') return Array.isArray(value) ? value.flatMap((entry: unknown, index) => findAll(entry, rest, [...at, index])) : []
  return findAll((value as Record<string, unknown>)[step], rest, [...at, step])
}
