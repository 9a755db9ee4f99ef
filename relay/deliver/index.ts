export type { DeferClass, DeferReason, Outcome, RemoteReply } from './outcome.ts'
