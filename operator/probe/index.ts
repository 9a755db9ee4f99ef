// The open-relay probe: forms.ts (what is tried) → attempt.ts (one attempt, to the end of DATA) → session.ts (the socket) → ways.ts (where to) → probe.ts (one MailRelay) → prober.ts (when).
export { attemptAll } from './attempt.ts'
export { strangerForms } from './forms.ts'
export { Prober, type Target } from './prober.ts'
export { waysTo } from './ways.ts'
