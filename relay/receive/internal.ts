// The second door: for `can-send`, which reads addresses as a session does.
export { parsePath } from './address.ts'
export { postmasterAt } from './postmaster.ts'
