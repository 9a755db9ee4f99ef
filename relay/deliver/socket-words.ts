// What the system says of a socket, in words for traces, notices and the CLI.
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the other side cut the connection off (ECONNRESET)',
  EHOSTUNREACH: 'there is no way to that host (EHOSTUNREACH)',
  ENETUNREACH: 'there is no way to that network (ENETUNREACH)',
  ENOTFOUND: 'the name does not resolve (ENOTFOUND)',
  EAI_AGAIN: 'the name could not be looked up: DNS does not answer (EAI_AGAIN)',
}

/** What is not known here stays as it is. */
export const wordsOf = ({ code, message }: NodeJS.ErrnoException): string => (code === undefined ? message : (words[code] ?? code))
