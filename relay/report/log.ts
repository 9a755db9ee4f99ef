// JSON logs, one stable code per line; docs/logs.md lists every code and a test holds the two together.
import { pino, type Logger } from 'pino' // fast JSON logs, the most used logger of Node, MIT
import { openLogFile } from './log-file.ts'

export const logCodes = {
  START: 'the process is up and serves',
  STOP: 'the process was asked to stop and drains',
  SNAPSHOT_LOADED: 'a new snapshot is in force',
  SNAPSHOT_REFUSED: 'a snapshot was broken, or says what this release does not know; the last good one stays in force',
  LISTENER_SHUT: 'after a refused snapshot a port could not be opened again; it is tried every second',
  LISTENER_BACK: 'a port that could not be opened again is open',
  ACCEPTED: 'a message is stored and was answered with 250',
  REFUSED: 'a command was refused; the reply and the rule are given',
  SESSION_ERROR: 'a session ended by an error',
  ATTEMPT: 'one delivery attempt ended',
  UNSIGNED: 'a DKIM key of a domain could not be used; the message goes out without that signature',
  BOUNCED: 'recipients failed for good; the sender is told, unless it is nobody or wants no notice',
  DOUBLE_BOUNCE: 'a notice could not be delivered; nobody is left to tell',
  POLICY_WARN: 'a policy in Warn mode would have acted',
  QUEUE_UNREACHABLE: 'the queue does not answer, or stores nothing',
  QUEUE_BACK: 'the queue answers again',
  QUEUE_LOST: 'the stream of the queue was gone and was made anew, empty: what waited in it is lost',
  QUEUE_NOT_DURABLE: 'the queue does not keep the durability promise; nothing is accepted',
  QUEUE_FULL: 'the queue takes 80 % of what its volume has room for; accepting stops',
  LANE_TAKEN: 'this process owns a lane',
  LANE_LOST: 'this process lost a lane',
  RECORD_UNREADABLE: 'a queue record could not be understood and is set aside',
  RECORD_VERSION: 'a queue record has a version this release does not know; it is left alone',
  BODY_LOST: 'the bytes of a message are not on the servers, or are not those that were accepted; its delivery is on hold',
  PURGE_FAULT: 'a purge removed more than expected; group purges of that lane stop',
  CLOCK_SKEW: 'the clock differs from the servers by more than 2 s; lanes are given up',
  SETTLE_WAITS: 'outcomes of deliveries could not be stored for a minute or longer',
  SWEPT: 'chunks of a body that never became a message were removed',
  TRACE_LOST: 'trace lines could not be stored',
  LOG_LOST: 'log lines could not be written and are lost',
  STEERED: 'a person gave an order to the queue',
  BUG: 'something happened that must not; please report it',
} as const
type LogCode = keyof typeof logCodes

/** Anything but what every line has already: a field named code would hide the line's own. */
export type LogFields = { readonly [name: string]: unknown; readonly code?: never; readonly text?: never; readonly pod?: never }

export type Log = {
  info(code: LogCode, fields?: LogFields): void
  warn(code: LogCode, fields?: LogFields): void
  error(code: LogCode, fields?: LogFields): void
}

/** `level` as pino names it; writes to stdout, or appends to the file given (mode 0600). */
export const createLog = (options: { pod: string; level?: string; file?: string }): Log => {
  const destination = openLogFile(options.file, (count) => logger.warn({ code: 'LOG_LOST', count }, logCodes.LOG_LOST))
  const logger: Logger = pino({ level: options.level ?? 'info', base: { pod: options.pod }, timestamp: createTimestamp(), messageKey: 'text' }, destination)
  const line = (level: 'info' | 'warn' | 'error') => (code: LogCode, fields: LogFields = {}) => logger[level]({ code, ...fields }, logCodes[code])
  return { info: line('info'), warn: line('warn'), error: line('error') }
}

/** As pino's isoTime; spelled once for all lines of a millisecond. */
const createTimestamp = (): (() => string) => {
  let at = -1
  let spelled = ''
  return () => {
    const now = Date.now()
    if (now !== at) spelled = `,"time":"${new Date(now).toISOString()}"`
    at = now
    return spelled
  }
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }
