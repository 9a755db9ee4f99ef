export * from './schema.ts'
export { normalDomain, printMailbox, splitMailbox, type Mailbox } from './mailbox.ts'
export { matchesDomain, matchesMailbox } from './pattern.ts'
export { parseSnapshot, revisionOf, SnapshotError } from './parse.ts'
