// Judges every object against the others: which are in force, where they attach, and what is wrong with the rest. Pure.
// Order: relays, then domains (which attach to relays), then senders (which use domains), then policies and routes.
import type { AnyManifest, DeliveryRoute, ListenerSpec, MailDomain, MailRelay, MailSender, RelayPolicy } from '../../crds/index.ts'
import { normalDomain, type Snapshot } from '../../relay/snapshot/index.ts'
import { allowedAsBefore, hadIt, hasOwnFault, listenersAsBefore, senderAsBefore, withOwnFault } from './as-before.ts'
import { violationsOf, type Check, type Condition, type Violation } from './condition.ts'
import { guarded, ranAt, wasAccepted, type Fault } from './fault.ts'
import { keyOf, refOf, titleOf } from './input.ts'
import { domainIsHeldByAnother, listenersForDomain, refuseDomain, refuseDomainOnRelay } from './policies/domain.ts'
import { fieldIsNotImplemented } from './policies/not-implemented.ts'
import { allowedSourcesOf, refusePolicy, refusePolicyOnRelay, refuseTarget, senderOfRuleIsMissing } from './policies/policy.ts'
import { refuseListener, refuseRelay } from './policies/relay.ts'
import { refuseRoute, senderOfMatchIsMissing } from './policies/route.ts'
import { accountIsMissing, fromOf, lendersOf, listenersForSender, refuseSender } from './policies/sender.ts'
import { sectionOfTarget, titlesAt, titleOfTarget, type Target } from './policies/targets.ts'
import { pairBefore } from './snapshot/certificates.ts'
import { addressesAt } from './source-address.ts'
import type { AttachedDomain, AttachedPolicy, AttachedSender, RelayView } from './view.ts'
import { relayKeysOf, type World } from './world.ts'

export type Judgement = {
  /** Who is at fault counts as it did before, so that the others are judged as if nothing were. */
  readonly views: readonly RelayView[]
  readonly conditions: readonly Condition[]
  readonly faults: readonly Fault[]
}

type Bench = { readonly world: World; readonly conditions: Condition[]; readonly faults: Fault[] }
type Part = Pick<Condition, 'relay' | 'section'>

export const judge = (world: World): Judgement => {
  const bench: Bench = { world, conditions: [], faults: [] }
  const relays = judgeRelays(bench)
  const { domains, faulty } = judgeDomains(bench, relays)
  const senders = judgeSenders(bench, relays, domains)
  const policies = judgePolicies(bench, relays, domains, senders)
  const routes = judgeRoutes(bench, relays)
  for (const schedule of world.input.declared.schedules) accept(bench, schedule)
  const views = [...relays].map(([key, { relay, listeners }]) => ({
    relay,
    listeners,
    domains: (domains.get(key) ?? []).filter(({ domain }) => !faulty.has(domain)),
    senders: senders.get(key) ?? [],
    policies: policies.get(key) ?? [],
    routes: routes.get(key) ?? [],
  }))
  return { views, conditions: bench.conditions, faults: bench.faults }
}

/** What was said of an object before its judgement threw is taken back. */
const judged = <T>({ conditions, faults }: Bench, object: AnyManifest, work: () => T, otherwise: () => T): T => {
  const before = conditions.length
  return guarded(faults, object, work, () => {
    conditions.length = before
    return otherwise()
  })
}

const accept = ({ conditions }: Bench, object: AnyManifest, part: Part = {}, reason: 'Accepted' | 'SelfSigned' = 'Accepted', message = 'in force'): void =>
  void conditions.push({ object: refOf(object), ...part, type: 'Accepted', status: 'True', reason, message })

const refuse = ({ conditions }: Bench, object: AnyManifest, violations: readonly Violation[], part: Part = {}): boolean => {
  conditions.push(...violations.map((violation) => ({ object: refOf(object), ...part, type: 'Accepted', status: 'False', ...violation }) as const))
  return violations.length > 0
}

const note = ({ conditions }: Bench, object: AnyManifest, violation: Violation | undefined): void => {
  if (violation) conditions.push({ object: refOf(object), type: 'ResolvedRefs', status: 'False', ...violation })
}

/** Waiting fields first, then the object's own checks; of what can be read in part nothing else is said. */
const isSound = <Seen>(bench: Bench, object: AnyManifest, checks: readonly Check<Seen>[], seen: Seen): boolean => {
  const unread = bench.world.input.declared.unread?.get(titleOf(object))
  return !refuse(bench, object, unread === undefined ? [...fieldIsNotImplemented(object), ...violationsOf(checks, seen)] : [{ reason: 'Unreadable', message: unread.message }])
}

type Relays = ReadonlyMap<string, { readonly relay: MailRelay; readonly listeners: readonly ListenerSpec[] }>

const judgeRelays = (bench: Bench): Relays => {
  const inForce = new Map<string, { relay: MailRelay; listeners: readonly ListenerSpec[] }>()
  for (const relay of bench.world.input.declared.relays) {
    const listeners = judged(bench, relay, () => judgeRelay(bench, relay), () => (wasAccepted(relay.status) ? relay.spec.listeners : undefined))
    if (listeners !== undefined) inForce.set(keyOf(relay), { relay, listeners })
  }
  return inForce
}

/** Its listeners, where it is in force. */
const judgeRelay = (bench: Bench, relay: MailRelay): readonly ListenerSpec[] | undefined => {
  const listeners = judgeListeners(bench, relay)
  if (!isSound(bench, relay, refuseRelay, { relay, world: bench.world })) return undefined
  if (refuse(bench, relay, listeners.length > 0 ? [] : [{ reason: 'NoListener', message: 'none of its listeners can be opened', path: ['spec', 'listeners'] }])) return undefined
  accept(bench, relay)
  return listeners
}

/** A Secret that is made anew, or written in two steps, must not close a port. */
const isOfCertificate = ({ reason }: Violation): boolean => reason === 'CertificateNotFound' || reason === 'CertificateInvalid'

const judgeListeners = (bench: Bench, relay: MailRelay): ListenerSpec[] =>
  relay.spec.listeners.filter((listener, index) => {
    const section = listener.name
    const violations = violationsOf(refuseListener, { relay, listener, index, world: bench.world })
    const stays = violations.length > 0 && violations.every(isOfCertificate) && pairBefore(relay, listener, bench.world) !== undefined
    if (refuse(bench, relay, stays ? violations.map((one) => ({ ...one, message: `${one.message}; it stays in force with the certificate that it had` })) : violations, { section }) && !stays) return false
    const selfSigned = listener.tls?.secretRef === undefined
    if (!stays) accept(bench, relay, { section }, selfSigned ? 'SelfSigned' : 'Accepted', selfSigned ? 'in force, with a certificate of our own CA' : 'in force')
    bench.conditions.push({ object: refOf(relay), section, ...addressesAt(relay, listener, bench.world.input.seen) })
    return true
  })

/** The relays an object means that are in force; the others are told to it. */
const relaysFor = (bench: Bench, object: AnyManifest, keys: readonly string[], path: readonly PropertyKey[], relays: Relays): string[] =>
  keys.filter((key) => {
    if (relays.has(key)) return true
    const exists = bench.world.relay(key) !== undefined
    refuse(bench, object, [{ reason: exists ? 'RelayNotAccepted' : 'RelayNotFound', message: exists ? `MailRelay ${key} is not in force itself` : bench.world.missing('MailRelay', key), path }], { relay: key })
    return false
  })

const noRelayAtAll = (bench: Bench, object: MailDomain | DeliveryRoute, keys: readonly string[]): void => {
  if (keys.length === 0) refuse(bench, object, [{ reason: 'RelayNotFound', message: `names no MailRelay, and namespace ${object.metadata.namespace} has none`, path: ['spec', 'relayRefs'] }])
}

/** `faulty`: who has a fault of its own, and holds its domain as before: nobody else may have it meanwhile, and its senders stay. */
const judgeDomains = (bench: Bench, relays: Relays): { readonly domains: Map<string, AttachedDomain[]>; readonly faulty: ReadonlySet<MailDomain> } => {
  const { world } = bench
  const claims = new Map<string, MailDomain[]>() // by relay
  const unjudged = new Set<MailDomain>()
  const faulty = new Set<MailDomain>()
  const asItWas = (domain: MailDomain): string[] => (unjudged.add(domain), claimsBefore(domain, relays, world))
  for (const domain of world.input.declared.domains) {
    const told = bench.conditions.length
    const keys = judged(bench, domain, () => claimsOf(bench, domain, relays), () => asItWas(domain))
    const stays = hasOwnFault(bench.conditions.slice(told)) ? [...relays].filter(([, at]) => listenersAsBefore(domain, at, world).length > 0).map(([key]) => key) : []
    if (stays.length > 0) faulty.add(domain)
    for (const key of [...keys, ...stays]) append(claims, key, domain)
  }
  return { domains: new Map([...claims].map(([key, claimed]) => [key, settle(bench, key, relays, { claimed, unjudged, faulty })])), faulty }
}

/** Where it was in force, and is still meant and admitted: what a MailRelay took back counts, whatever else cannot be judged. */
const claimsBefore = (domain: MailDomain, relays: Relays, world: World): string[] => {
  const isMeant = (key: string): boolean => relayKeysOf(domain, world).includes(key) && listenersForDomain({ domain, relay: relays.get(key)!.relay, world }).length > 0
  return isNamed(domain) ? ranAt(domain, relays.keys()).filter((key) => relays.has(key) && guarded([], domain, () => isMeant(key), () => true)) : []
}

/** Whether it can be compared with others. */
const isNamed = (domain: MailDomain): boolean => guarded([], domain, () => normalDomain(domain.spec.domain) !== undefined, () => false)

/** The relays that the domain may attach to. */
const claimsOf = (bench: Bench, domain: MailDomain, relays: Relays): string[] => {
  const { world } = bench
  const keys = relayKeysOf(domain, world)
  noRelayAtAll(bench, domain, keys)
  if (!isSound(bench, domain, refuseDomain, { domain, world })) return []
  return relaysFor(bench, domain, keys, ['spec', 'relayRefs'], relays).filter((key) => {
    const seen = { domain, relay: relays.get(key)!.relay, world }
    return !refuse(bench, domain, violationsOf(refuseDomainOnRelay, seen), { relay: key })
  })
}

/** `unjudged`: those who claim it because they had it; `faulty`: those who have it, by the snapshot before. */
type Claims = { readonly claimed: readonly MailDomain[]; readonly unjudged: ReadonlySet<MailDomain>; readonly faulty: ReadonlySet<MailDomain> }

/** Gives each domain to one of those who claim it. */
const settle = (bench: Bench, key: string, relays: Relays, { claimed, unjudged, faulty }: Claims): AttachedDomain[] => {
  const { relay, listeners } = relays.get(key)!
  const open = new Set(listeners.map(({ name }) => name))
  const byName = Map.groupBy(claimed, ({ spec }) => normalDomain(spec.domain))
  const holders = new Set([...byName.values()].map((rivals) => rivals.find((domain) => faulty.has(domain)) ?? holderOf(rivals, key, relays, { unjudged, before: bench.world.input.before?.get(key) })))
  const settleOne = (domain: MailDomain): AttachedDomain[] => {
    const holder = byName.get(normalDomain(domain.spec.domain))!.find((rival) => holders.has(rival))!
    const violation = domainIsHeldByAnother(domain, holder)
    if (refuse(bench, domain, violation ? [violation] : [], { relay: key })) return []
    accept(bench, domain, { relay: key }, 'Accepted', faulty.has(domain) ? 'in force as it was' : 'in force')
    return [{ domain, listeners: listenersForDomain({ domain, relay, world: bench.world }).filter((name) => open.has(name)) }]
  }
  return claimed.flatMap((domain) => judged(bench, domain, () => settleOne(domain), () => (ranAt(domain, relays.keys()).includes(key) ? [{ domain, listeners: [...open] }] : [])))
}

/** Who is recorded in status as accepted on this relay; else who has it in the snapshot before, as one that had a fault, or whose MailRelay had, and is mended; else who has no room there for it; else the oldest. Of two that are recorded, one whose status could not be written since may be out: rather one that can be judged. */
const holderOf = (sorted: readonly MailDomain[], relay: string, relays: Relays, { unjudged, before }: { readonly unjudged: ReadonlySet<MailDomain>; readonly before: Snapshot | undefined }): MailDomain => {
  if (sorted.length === 1) return sorted[0]!
  const recorded = sorted.filter((domain) => ranAt(domain).includes(relay))
  return recorded.find((domain) => !unjudged.has(domain)) ?? recorded[0] ?? sorted.find((domain) => hadIt(domain, before)) ?? sorted.find((domain) => ranAt(domain, relays.keys()).includes(relay)) ?? sorted[0]!
}

const judgeSenders = (bench: Bench, relays: Relays, domains: ReadonlyMap<string, readonly AttachedDomain[]>): Map<string, AttachedSender[]> => {
  const attached = new Map<string, AttachedSender[]>()
  const lenders = new Map([...relays.keys()].map((key) => [key, lendersOf((domains.get(key) ?? []).map(({ domain }) => domain))]))
  const accounts = new Map<string, MailSender>() // by relay, namespace and name
  const judgeOne = (sender: MailSender, key: string): AttachedSender | undefined => {
    note(bench, sender, accountIsMissing(sender, bench.world))
    if (!isSound(bench, sender, [], {}) || relaysFor(bench, sender, [key], ['spec', 'relayRef'], relays).length === 0) return undefined
    const account = `${key} ${sender.metadata.namespace}/${sender.spec.identity.serviceAccountName}`
    const seen = { sender, ...relays.get(key)!, lenders: lenders.get(key)!, namesake: accounts.get(account), world: bench.world }
    const inForce = (one: AttachedSender): AttachedSender => {
      if (sender.spec.identity.serviceAccountName !== undefined) accounts.set(account, sender)
      return one
    }
    const violations = violationsOf(refuseSender, seen)
    const stays = senderAsBefore(seen, violations)
    const told = stays ? violations.map((one) => ({ ...one, message: `${one.message}; it stays in force for ${stays.from.join(', ')}` })) : violations
    if (refuse(bench, sender, told, { relay: key })) return stays && inForce(stays)
    accept(bench, sender, { relay: key })
    return inForce({ sender, listeners: listenersForSender(seen), from: fromOf(seen) })
  }
  for (const sender of bench.world.input.declared.senders) {
    const key = `${sender.spec.relayRef.namespace ?? sender.metadata.namespace}/${sender.spec.relayRef.name}`
    const one = judged(bench, sender, () => judgeOne(sender, key), () => asBefore(sender, relays.get(key)))
    if (one !== undefined) append(attached, key, one)
  }
  return attached
}

const asBefore = (sender: MailSender, at: ReturnType<Relays['get']>): AttachedSender | undefined =>
  at === undefined || !ranAt(sender).includes(keyOf(at.relay)) ? undefined : { sender, listeners: at.listeners.map(({ name }) => name), from: [] }

const judgePolicies = (bench: Bench, relays: Relays, domains: ReadonlyMap<string, readonly AttachedDomain[]>, senders: ReadonlyMap<string, readonly AttachedSender[]>): Map<string, AttachedPolicy[]> => {
  const soundOf = (policy: RelayPolicy): AttachedPolicy[] => {
    const whole = isSound(bench, policy, refusePolicy, { policy, world: bench.world })
    if (bench.world.input.declared.unread?.has(titleOf(policy))) return [] // its targets are none
    note(bench, policy, senderOfRuleIsMissing(policy, bench.world))
    const targets = policy.spec.targetRefs.filter((target, index) => !refuse(bench, policy, violationsOf(refuseTarget, { policy, target, index, world: bench.world }), { section: sectionOfTarget(target) }))
    return whole && targets.length > 0 ? [{ policy, targets }] : []
  }
  const sound = bench.world.input.declared.policies.flatMap((policy) => judged(bench, policy, () => soundOf(policy), () => []))
  const atFault = new Set(withOwnFault(bench.conditions))
  const titles = new Map([...relays].map(([key, { relay }]) => [key, titlesAt({ relay, domains: domains.get(key) ?? [], senders: senders.get(key) ?? [] })]))
  const attached = new Map([...relays].map(([key, { relay }]) => [key, policiesOn(bench, relay, { sound, atFault }, titles.get(key)!)]))
  for (const { policy, targets } of sound) for (const target of targets) judged(bench, policy, () => tellTarget(bench, { policy, target, attached, titles }), () => undefined)
  return attached
}

const policiesOn = (bench: Bench, relay: MailRelay, { sound, atFault }: { readonly sound: readonly AttachedPolicy[]; readonly atFault: ReadonlySet<string> }, titles: ReadonlySet<string>): AttachedPolicy[] => {
  const allowedBefore = allowedAsBefore(atFault, bench.world.input.before?.get(keyOf(relay)))
  const policyOn = ({ policy, targets }: AttachedPolicy): AttachedPolicy[] => {
    const here = targets.filter((target) => titles.has(titleOfTarget(policy, target)))
    if (here.length === 0) return []
    const seen = { policy, world: bench.world, relay: keyOf(relay), relayNamespace: relay.metadata.namespace, allowedBefore }
    if (refuse(bench, policy, violationsOf(refusePolicyOnRelay, seen), { relay: keyOf(relay) })) return []
    allowedBefore.push(...allowedSourcesOf(policy))
    return [{ policy, targets: here }]
  }
  return sound.flatMap((one) => judged(bench, one.policy, () => policyOn(one), () => []))
}

type Told = { readonly policy: RelayPolicy; readonly target: Target; readonly attached: ReadonlyMap<string, readonly AttachedPolicy[]>; readonly titles: ReadonlyMap<string, ReadonlySet<string>> }

/** By MailRelay: a policy that one refuses may be in force at another. */
const tellTarget = (bench: Bench, { policy, target, attached, titles }: Told): void => {
  const section = sectionOfTarget(target)
  const title = titleOfTarget(policy, target)
  const { namespace, name } = policy.metadata
  const isRefusal = ({ object, relay, status }: Condition): boolean => relay !== undefined && status === 'False' && object.kind === policy.kind && object.name === name && object.namespace === namespace && titles.get(relay)?.has(title) === true
  const inForce = [...attached].filter(([, policies]) => policies.some((one) => one.policy === policy && one.targets.includes(target)))
  for (const [key] of inForce) accept(bench, policy, { relay: key, section })
  if (inForce.length > 0 || bench.conditions.some(isRefusal)) return
  refuse(bench, policy, [{ reason: 'TargetNotAccepted', message: `${title} is not in force itself`, path: ['spec', 'targetRefs', policy.spec.targetRefs.indexOf(target), 'name'] }], { section })
}

const judgeRoutes = (bench: Bench, relays: Relays): Map<string, DeliveryRoute[]> => {
  const attached = new Map<string, DeliveryRoute[]>()
  for (const route of bench.world.input.declared.routes) for (const key of judged(bench, route, () => relaysOfRoute(bench, route, relays), () => [])) append(attached, key, route)
  return attached
}

const relaysOfRoute = (bench: Bench, route: DeliveryRoute, relays: Relays): string[] => {
  const keys = relayKeysOf(route, bench.world)
  noRelayAtAll(bench, route, keys)
  note(bench, route, senderOfMatchIsMissing(route, bench.world))
  if (!isSound(bench, route, refuseRoute, { route, world: bench.world })) return []
  const inForce = relaysFor(bench, route, keys, ['spec', 'relayRefs'], relays)
  for (const key of inForce) accept(bench, route, { relay: key })
  return inForce
}

const append = <T>(map: Map<string, T[]>, key: string, value: T): void => void (map.get(key)?.push(value) ?? map.set(key, [value]))
