// Within v1alpha1 fields are only added, never changed (docs/install.md): whatever an older release took is still taken, or an upgrade finds objects that it cannot read.
// The files in crds-of/ are what tools/crd-bounds.ts made of the CRDs of the commit that they are named for.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { boundsIn, type Bounds } from './tools/crd-bounds.ts'

/** What is taken no more, or may be. */
const narrower = (before: Bounds, now: Bounds): string[] => Object.entries(before).flatMap(([path, then]) => {
  const found = now[path]
  if (found === undefined) return [`${path} is gone`]
  return Object.keys({ ...then, ...found }).filter((name) => !isAsWide(name, then[name], found[name])).map((name) => `${path}: ${name} was ${JSON.stringify(then[name])}, is ${JSON.stringify(found[name])}`)
})

const isAsWide = (name: string, then: unknown, now: unknown): boolean => {
  if (now === undefined && name !== 'type') return true
  if (name.startsWith('max')) return (then as number | undefined ?? Infinity) <= (now as number)
  if (name.startsWith('min')) return (then as number | undefined ?? -Infinity) >= (now as number)
  const [listThen, listNow] = [then, now].map((list) => (Array.isArray(list) ? (list as unknown[]) : []))
  if (name === 'enum') return then !== undefined && listThen!.every((member) => listNow!.includes(member))
  if (name === 'required' || name === 'rules') return listNow!.every((one) => listThen!.includes(one))
  return then === now
}

const folder = join(import.meta.dirname, 'crds-of')
const now = boundsIn(join(import.meta.dirname, '../crds'))

/** Rules that came later over what was never in force, by the beginning of each: what breaks one the plan or our reader refused before, or nobody could be asked there. An upgrade finds it as it was, not in force. */
const overNothing: Readonly<Record<string, string>> = {
  'MailRelay.spec.resolver.nameservers.[]': 'isIP(self) || (',
  'MailDomain.spec.inbound.recipients.list.[]': "self != '*'",
  'RelayPolicy.spec': '!has(self.limits) || !self.limits.exists(l, has(l.connectionsPerMinute))',
}
const asBefore: Bounds = Object.fromEntries(Object.entries(now).map(([path, bounds]) => {
  const begins = overNothing[path]
  return [path, begins === undefined ? bounds : { ...bounds, rules: (bounds.rules as string[]).filter((rule) => !rule.startsWith(begins)) }]
}))

for (const file of readdirSync(folder))
  test(`of all that the 6 kinds of ${file} take, 0 is refused by those of now, but what was in force nowhere`, () => {
    assert.deepEqual(narrower(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Bounds, asBefore), [])
  })

test('a shorter duration, a word less in an enum, a rule more, a field that is gone and one more that is required are 5 that are found', () => {
  const path = 'MailRelay.spec.drain.timeout'
  const listeners = 'MailRelay.spec.listeners.[]'
  const changed: Bounds = { ...now, [path]: { ...now[path], maxLength: 39, rules: ['self <= duration(\'86400s\')'] }, [`${listeners}.protocol`]: { type: 'string', enum: ['SMTP', 'Submission'] }, [listeners]: { ...now[listeners], required: [...(now[listeners]!.required as string[]), 'tls'] } }
  const { 'MailRelay.spec.paused': _, ...without } = changed
  assert.deepEqual(new Set(narrower(now, without).map((fault) => fault.split(/ (?:was|is) /)[0])), new Set(['MailRelay.spec.drain.timeout: maxLength', 'MailRelay.spec.drain.timeout: rules', 'MailRelay.spec.listeners.[].protocol: enum', 'MailRelay.spec.listeners.[]: required', 'MailRelay.spec.paused']))
})
