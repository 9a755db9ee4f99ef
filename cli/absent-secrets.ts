// Secrets that manifests name and that come from elsewhere: a vault, cert-manager. Who only looks at manifests takes them for there, with contents that fit and that nobody uses.
import { certificateFor, newAuthority, newDkimKey, printPath, secretRefsIn, titleOf, type Data, type Declared, type Gathered, type Problem, type Secret } from '../operator/index.ts'
import { nearMiss } from '../operator/gather/internal.ts'

type Reference = { readonly namespace: string; readonly name: string; readonly title: string; readonly path: readonly (string | number)[] }
type Absent = Reference & { readonly isForDkim: boolean }
type Manifest = Declared['relays' | 'domains' | 'routes'][number]

/** The first reference to each Secret that is not among the manifests. A slip of the keyboard for one that is there, and that nobody names, is no such thing. */
export const absentSecrets = ({ declared, mistaken }: Pick<Gathered, 'declared' | 'mistaken'>): Absent[] => {
  const { relays, domains, routes, secrets } = declared
  const references = [...relays, ...domains, ...routes].flatMap(referencesIn)
  const named = Map.groupBy(references, keyOf)
  const unnamed = secrets.filter((secret) => !named.has(keyOf(secret)))
  const isThere = (key: string): boolean => mistaken.has(`Secret ${key}`) || secrets.some((secret) => keyOf(secret) === key)
  const isSlip = ({ namespace, name }: Reference): boolean => nearMiss(name, unnamed.filter((secret) => secret.namespace === namespace).map((secret) => secret.name)) !== undefined
  return [...named.values()].map((all) => ({ ...all[0]!, isForDkim: all.some(({ path }) => path.includes('keySecretRef')) })).filter((reference) => !isThere(keyOf(reference)) && !isSlip(reference))
}

const referencesIn = (object: Manifest): Reference[] =>
  secretRefsIn(object.spec).map(({ name, path }) => ({ namespace: object.metadata.namespace, name, title: titleOf(object), path: ['spec', ...path] }))

const keyOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string => `${namespace}/${name}`

/** With everything that any of them is asked for; keys for DKIM, which take a while, only where they are. */
export const standIns = async (absent: readonly Absent[], now: Date): Promise<Secret[]> => {
  if (absent.length === 0) return []
  const authority = newAuthority(now)
  const { certificate, key } = certificateFor(['stand-in.invalid'], authority, now)
  const data = { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate, username: 'stand-in', password: 'stand-in' }
  const keys = absent.some(({ isForDkim }) => isForDkim) ? await dkimKeys() : {}
  return absent.map(({ namespace, name, isForDkim }) => ({ namespace, name, data: { ...data, ...(isForDkim && keys) } }))
}

const dkimKeys = async (): Promise<Data> => ({ 'rsa.key': await newDkimKey('rsa'), 'rsa.selector': 'stand-in-rsa', 'ed25519.key': await newDkimKey('ed25519'), 'ed25519.selector': 'stand-in-ed25519' })

export const noteAbsent = ({ namespace, name, title, path }: Reference, { place }: Pick<Gathered, 'place'>): Problem => ({
  level: 'warning',
  code: 'NOTED',
  ...(place(title, path) ?? { file: '' }),
  object: title,
  path: printPath(path),
  message: `Secret ${namespace}/${name} is not among the manifests: checked as if it held what is needed`,
})
