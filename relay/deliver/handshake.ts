// The TLS handshake with a next hop, and what was seen in it. Takes over a socket; judges nothing: the policy does.
import { isIP, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext, type TLSSocket } from 'node:tls'
import type { Settings } from './settings.ts'
import type { Target, TlsSeen } from './target.ts'

export const handshake = (socket: Socket, target: Target, settings: Settings): Promise<TLSSocket | Error> =>
  new Promise((resolve) => {
    const context = contextFor(target, settings)
    const tls = connectTls({
      socket,
      host: target.host, // the name that checkServerIdentity compares
      ...(isIP(target.host) === 0 && { servername: target.host }),
      rejectUnauthorized: false, // judged afterwards, by the policy: opportunistic TLS takes any certificate (RFC 7435)
      minVersion: 'TLSv1.2',
      ...(context && { secureContext: context }),
    })
    const timer = setTimeout(() => tls.destroy(new Error('no TLS handshake in time')), settings.timeouts.tls)
    const end = (result: TLSSocket | Error): void => {
      clearTimeout(timer)
      tls.off('error', end)
      tls.off('close', onClose)
      if (result instanceof Error) {
        tls.on('error', () => {})
        tls.destroy()
      }
      resolve(result)
    }
    const onClose = (): void => end(new Error('closed during the TLS handshake'))
    tls.once('error', end)
    tls.once('close', onClose)
    tls.once('secureConnect', () => end(tls))
  })

/** Making a context reads a hundred root certificates: once for each set of them and each client certificate. */
const contexts = new WeakMap<object, WeakMap<object, SecureContext>>()
const usual = {}

const contextFor = ({ clientCertificate: own, authority }: Target, { extraCa }: Settings): SecureContext | undefined => {
  const believed = authority ?? (extraCa.length > 0 ? extraCa : usual)
  if (own === undefined && believed === usual) return undefined // Node's own, made once
  const ofBelieved = contexts.get(believed) ?? new WeakMap<object, SecureContext>()
  contexts.set(believed, ofBelieved)
  const made = ofBelieved.get(own ?? usual) ?? createSecureContext({
    minVersion: 'TLSv1.2',
    ...(authority ? { ca: authority.certificate === '' ? [] : authority.certificate } : extraCa.length > 0 && { ca: [...getCACertificates('default'), ...extraCa] }),
    ...(own && { cert: own.certificate, key: own.key }),
  })
  ofBelieved.set(own ?? usual, made)
  return made
}

export const seen = (socket: TLSSocket): TlsSeen => {
  const certificate = socket.getPeerCertificate()
  const names = (certificate.subjectaltname ?? '').split(', ').filter((name) => name !== '').map((name) => name.replace(/^(DNS|IP Address):/, ''))
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher()?.name ?? 'unknown',
    verified: socket.authorized,
    ...(socket.authorizationError && { fault: String((socket.authorizationError as NodeJS.ErrnoException).code ?? socket.authorizationError) }),
    names,
    ...(certificate.valid_to && { validTo: certificate.valid_to }),
  }
}
