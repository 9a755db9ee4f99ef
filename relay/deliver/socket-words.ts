// What the system and OpenSSL say of a socket, in words for traces, notices and the CLI.
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the other side cut the connection off (ECONNRESET)',
  EHOSTUNREACH: 'there is no way to that host (EHOSTUNREACH)',
  ENETUNREACH: 'there is no way to that network (ENETUNREACH)',
  EADDRNOTAVAIL: 'this machine has no address, or no free port, to connect from (EADDRNOTAVAIL)',
  EAFNOSUPPORT: 'this machine does not know that family of addresses (EAFNOSUPPORT)',
  ENOTFOUND: 'the name does not resolve (ENOTFOUND)',
  EAI_AGAIN: 'the name could not be looked up: DNS does not answer (EAI_AGAIN)',
  CERT_HAS_EXPIRED: 'it has expired (CERT_HAS_EXPIRED)',
  CERT_NOT_YET_VALID: 'it is not valid yet; do the clocks differ? (CERT_NOT_YET_VALID)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for other names (ERR_TLS_CERT_ALTNAME_INVALID)',
  INVALID_PURPOSE: 'it is not for servers (INVALID_PURPOSE)',
  UNSPECIFIED: 'OpenSSL does not take it, as with a key that is too short (UNSPECIFIED)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)',
  SELF_SIGNED_CERT_IN_CHAIN: 'it is of a CA that is not known here (SELF_SIGNED_CERT_IN_CHAIN)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it is of a CA that is not known here, or the chain to it is not complete (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it is of a CA that is not known here, or the chain to it is not complete (UNABLE_TO_VERIFY_LEAF_SIGNATURE)',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what it sent is no TLS (ERR_SSL_WRONG_VERSION_NUMBER)',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what it sent is no TLS (ERR_SSL_PACKET_LENGTH_TOO_LONG)',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it knows neither TLS 1.2 nor 1.3 (ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION)',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it wants a certificate of ours (ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED)',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it knows neither TLS 1.2 nor 1.3 (ERR_SSL_UNSUPPORTED_PROTOCOL)',
}

/** What is not known here stays as it is. */
export const wordsOf = ({ code, message = '' }: { readonly code?: string | undefined; readonly message?: string }): string => (code === undefined ? message : (words[code] ?? code))
