// Who we are to the servers of the queue, and whom we trust to be them: files of a mounted Secret, read anew for every connection,
// so that a rotated password, certificate or CA needs no restart. Reads only.
import { credsAuthenticator, tokenAuthenticator, usernamePasswordAuthenticator, type Authenticator, type NodeConnectionOptions } from '@nats-io/transport-node'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a folder of secrets may hold: a user and password, a token or a file of credentials; and whom to trust. */
const loginFiles = ['username', 'password', 'token', 'user.creds', 'ca.crt', 'tls.crt', 'tls.key'] as const
type LoginFile = (typeof loginFiles)[number]

export type Login = Pick<NodeConnectionOptions, 'authenticator' | 'tls' | 'ignoreAuthErrorAbort'>

/** Why nothing in the folder says who we are or whom to trust; undefined where something does. */
export const loginFault = (folder: string): string | undefined => {
  const has = (name: LoginFile): boolean => existsSync(join(folder, name))
  if (has('username') !== has('password')) return `${folder} holds only one of username and password`
  if (has('tls.crt') !== has('tls.key')) return `${folder} holds only one of tls.crt and tls.key`
  return loginFiles.some(has) ? undefined : `${folder} holds none of ${loginFiles.join(', ')}`
}

/** Of a folder that has no fault. */
export const loginFrom = (folder: string): Login => {
  const files = [['caFile', 'ca.crt'], ['certFile', 'tls.crt'], ['keyFile', 'tls.key']] as const
  const tls = Object.fromEntries(files.map(([option, name]) => [option, join(folder, name)]).filter(([, file]) => existsSync(file!)))
  return {
    authenticator: (nonce) => authenticatorOf(folder)?.(nonce) ?? undefined,
    ...(Object.keys(tls).length > 0 && { tls }),
    ignoreAuthErrorAbort: true, // between two steps of a rotation a server may not know the new login yet
  }
}

const authenticatorOf = (folder: string): Authenticator | undefined => {
  const read = (name: LoginFile): string | undefined => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8').trim() : undefined)
  const [user, password, token, creds] = [read('username'), read('password'), read('token'), read('user.creds')]
  if (user !== undefined && password !== undefined) return usernamePasswordAuthenticator(user, password)
  if (token !== undefined) return tokenAuthenticator(token)
  return creds === undefined ? undefined : credsAuthenticator(Buffer.from(creds))
}
