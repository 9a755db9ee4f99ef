// What a status says of its object. Types only.
import type { ObjectRef } from '../input.ts'

/** As in status.conditions, but for the time of the last change. */
export type Statement = { readonly type: string; readonly status: 'True' | 'False' | 'Unknown'; readonly reason: string; readonly message: string; readonly observedGeneration?: number }
/** Why something that is made for an object could not be: by the words of the API server, or because its name is somebody else's. */
export type Refusal = { readonly reason: 'NotApplied' | 'NameTaken'; readonly message: string }

export type Status = { readonly object: ObjectRef; readonly status: { readonly conditions: readonly Statement[]; readonly [field: string]: unknown } }
