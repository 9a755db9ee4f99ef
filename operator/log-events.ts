// What the operator says in its log, one word each; docs/logs.md has the same list, and a test holds the two together.
export const logEvents = {
  WAITING_FOR_LEASE: 'another operator acts; this one waits until the lease is free',
  LEADING: 'acts from now on',
  LEASE_LOST: 'another operator may act: the process ends, and begins anew as the one that waits',
  STOPPED: 'was asked to stop',
  LEASE_TROUBLE: 'the lease could not be read or renewed',
  API_TROUBLE: 'the API server did not answer a question, or refused it',
  RECONCILE_FAILED: 'a run ended in an error, and is tried again',
  STATUS_REFUSED: 'the API server does not take the status of an object',
  OPEN_RELAY: 'a stranger relayed through a listener, which is now closed to relaying by address',
  NODE_ADDRESS_SEEN: 'clients came to a listener with the address of a node or gateway',
  QUEUE_SERVER_STUCK: 'a server of a queue was up and said nothing about its streams for so many `minutes`, three at first: its pod is deleted, so that it begins anew; `before`: how often that was done before',
  BUG: 'a fault of the operator over one object, which is held up; all others go on',
} as const

export type LogLine = { readonly event: keyof typeof logEvents; readonly [field: string]: unknown }
