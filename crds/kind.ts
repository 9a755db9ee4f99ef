// What a kind is made of; each kind's file fills one in.
import type { z } from 'zod'
import type { Rule } from './schema.ts'

export const group = 'posthouse.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`

export type Column = { readonly name: string; readonly type: 'string' | 'integer' | 'date' | 'boolean'; readonly jsonPath: string; readonly description: string; readonly priority?: number }

export type Kind<K extends string = string, S extends z.ZodType = z.ZodType> = {
  readonly kind: K
  readonly plural: string
  readonly singular: string
  readonly shortName: string
  readonly scope: 'Namespaced' | 'Cluster'
  readonly description: string
  readonly spec: S
  readonly status: z.ZodType
  readonly nameRules: readonly Rule<string>[] // on metadata.name
  readonly columns: readonly Column[]
  /** Fields for `kubectl get --field-selector`. */
  readonly selectable: readonly string[]
  readonly scale?: { readonly specReplicasPath: string; readonly statusReplicasPath: string; readonly labelSelectorPath: string }
  readonly example: string // a small manifest for the manual
}

type Metadata = {
  readonly name: string
  readonly namespace: string // '' where the kind is cluster-scoped
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly generation?: number | undefined
  readonly creationTimestamp?: string | undefined
  readonly deletionTimestamp?: string | undefined
}

/** One manifest of a kind, its spec parsed and defaults filled in. */
export type Manifest<K extends string, S> = {
  readonly kind: K
  readonly metadata: Metadata
  readonly spec: S
  readonly status?: unknown
}

export const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Time since it was made.' }
export const ready: Column = { name: 'Ready', type: 'string', jsonPath: ".status.conditions[?(@.type=='Ready')].status", description: 'The summary of its conditions.' }
export const reason: Column = { name: 'Reason', type: 'string', jsonPath: ".status.conditions[?(@.type=='Ready')].reason", description: 'Why it is ready or not.' }

/** A Secret is named after the object. */
export const nameFits = (kind: string, ending: string): Rule<string> => ({
  cel: 'self.metadata.name.size() <= 240',
  message: `the name of a ${kind} has at most 240 characters: its Secret is called <name>-${ending}`,
  holds: (name) => name.length <= 240,
})
