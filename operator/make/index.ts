export { certificateFor, newAuthority, type Authority } from './certificates.ts'
export { dkimKeysFor, newDkimKey, type DkimNews, type DkimOptions } from './dkim-keys.ts'
export { authorityFrom, authorityIn, bindingFrom, certificateFrom, credentialFrom, credentialIn, type CredentialNeed } from './kept.ts'
export { queueSecretsFrom, rotateLoginAnnotation } from './queue-secrets.ts'
