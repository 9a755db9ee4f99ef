export { certificateFor, newAuthority, type Authority, type KeyPair } from './certificates.ts'
export type { Data } from './data.ts'
export { dkimKeysFor, type DkimKeys, type DkimNews } from './dkim-keys.ts'
export { authorityFrom, authorityIn, bindingFrom, certificateFrom, credentialFrom, loginFrom, type CredentialNeed } from './kept.ts'
