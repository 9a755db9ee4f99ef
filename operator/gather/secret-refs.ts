// Where a spec names Secrets. Pure.
export type SecretRef = { readonly name: string; readonly path: readonly (string | number)[] }

/** A `…SecretRef` anywhere below, with the way to its name. */
export const secretRefsIn = (value: unknown): SecretRef[] => {
  if (value === null || typeof value !== 'object') return []
  const below = (step: string | number, inner: unknown): SecretRef[] => secretRefsIn(inner).map(({ name, path }) => ({ name, path: [step, ...path] }))
  if (Array.isArray(value)) return value.flatMap((item, index) => below(index, item))
  return Object.entries(value).flatMap(([field, inner]) => (/secretRef$/i.test(field) && typeof (inner as { name?: unknown }).name === 'string' ? [{ name: (inner as { name: string }).name, path: [field, 'name'] }] : below(field, inner)))
}
