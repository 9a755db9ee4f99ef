export { certificateFor, newAuthority, type Authority, type KeyPair } from './certificates.ts'
export { dkimKeysFor, newDkimKey, type DkimKeys, type DkimNews, type DkimOptions } from './dkim-keys.ts'
export { authorityFrom, authorityIn, bindingFrom, certificateFrom, credentialFrom, credentialIn, type CredentialNeed } from './kept.ts'
export { queueSecretsFrom, rotateLoginAnnotation, type QueueSecretsNeed } from './queue-secrets.ts'
