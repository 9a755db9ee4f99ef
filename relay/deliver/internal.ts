// The second door: for the troubleshooter's `probe`, which holds the same sessions by hand, and for tests.
export { forbiddenByMx } from './addresses.ts'
export { hostsToAsk, interleave } from './mx-plan.ts'
export { closeSession, openSession, type Session, type Target, type TlsSeen } from './session.ts'
export { holderOf, wayOf } from './route.ts'
export { settingsFrom } from './settings.ts'
export { commandLine, mailCommand, path, rcptCommand, WireError } from './smtp-wire.ts'
export { reasonOf } from './failover.ts'
export { Watch } from './wire.ts'
