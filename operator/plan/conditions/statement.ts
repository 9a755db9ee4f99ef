// What a status says of its object. Types only.
import type { ObjectRef } from '../input.ts'

/** As in status.conditions, but for the time of the last change. */
export type Statement = { readonly type: string; readonly status: 'True' | 'False' | 'Unknown'; readonly reason: string; readonly message: string; readonly observedGeneration?: number }
/** Why something that is made for an object could not be: by the words of the API server, or because its name is somebody else's, or a Secret may not be read, or because of a fault of ours. */
export type Refusal = { readonly reason: 'NotApplied' | 'NameTaken' | 'SecretRefused' | 'OperatorFault'; readonly message: string }

/** `fault`: what threw over it; then the status is that of before, and says so. */
export type Status = { readonly object: ObjectRef; readonly status: { readonly conditions: readonly Statement[]; readonly [field: string]: unknown }; readonly fault?: unknown }
