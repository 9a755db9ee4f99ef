/** An address or name as a URL has it before the port: IPv6 in brackets (RFC 3986 3.2.2). */
export const urlHost = (host: string): string => (host.includes(':') ? `[${host}]` : host)
