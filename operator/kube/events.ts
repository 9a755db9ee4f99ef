// Events for what a person should know: the same words about the same object are one Event that counts, not many.
import { createHash } from 'node:crypto'
import { KubeError } from './kube-error.ts'
import type { Kube } from './request.ts'
import { pathOf, type KubeObject, type Resource } from './resource.ts'

const eventsResource: Resource = { group: 'events.k8s.io', version: 'v1', kind: 'Event', plural: 'events', namespaced: true }

export type Note = {
  readonly about: { readonly apiVersion: string; readonly kind: string; readonly namespace?: string; readonly name: string; readonly uid?: string }
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly action: string
  readonly text: string
}

export type Notes = { tell(note: Note): Promise<void> }

const againAfterMs = 600_000 // the same event within ten minutes is no news
const noteBytes = 1024

export const createNotes = (given: { readonly kube: Kube; readonly controller: string; readonly instance: string; readonly now: () => number; readonly onTrouble: (error: Error) => void }): Notes => {
  const told = new Map<string, { readonly at: number; readonly count: number }>()
  return {
    tell: async (note) => {
      const key = keyOf(note)
      const before = told.get(key)
      const now = given.now()
      if (before && now - before.at < againAfterMs) return
      const count = (before?.count ?? 0) + 1
      told.set(key, { at: now, count })
      if (told.size > 5_000) told.delete(told.keys().next().value!)
      await write(given, note, count, now).catch(given.onTrouble) // an event that cannot be written must not stop the work it tells of
    },
  }
}

const keyOf = ({ about, type, reason, text }: Note): string => createHash('sha256').update(JSON.stringify([about.kind, about.namespace, about.name, about.uid, type, reason, text])).digest('hex')

/** To whole characters; what is left of one at the end is not said. */
const cut = (text: string): string => new TextDecoder().decode(Buffer.from(text).subarray(0, noteBytes), { stream: true })

/** Events of cluster-scoped objects live in the namespace default. */
const write = async ({ kube, controller, instance }: { kube: Kube; controller: string; instance: string }, note: Note, count: number, now: number): Promise<void> => {
  const namespace = note.about.namespace ?? 'default'
  const name = `${note.about.name.slice(0, 236).replace(/[^a-z0-9]+$/, '')}.${keyOf(note).slice(0, 16)}` // at most 253 characters
  const time = new Date(now).toISOString().replace('Z', '000Z')
  const series = count > 1 ? { series: { count, lastObservedTime: time } } : {}
  const body = {
    apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: { name, namespace }, eventTime: time, type: note.type, reason: note.reason, action: note.action,
    note: cut(note.text), regarding: note.about, reportingController: controller, reportingInstance: instance, ...series,
  }
  try {
    await kube.call({ method: 'POST', path: pathOf(eventsResource, { namespace }), body })
  } catch (error) {
    if (!(error instanceof KubeError && error.status === 409)) throw error
    await kube.call<KubeObject>({ method: 'PATCH', path: pathOf(eventsResource, { namespace, name }), contentType: 'application/merge-patch+json', body: { series: { count: Math.max(2, count), lastObservedTime: time } } })
  }
}
