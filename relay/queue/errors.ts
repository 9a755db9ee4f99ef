// The queue's one error type; codes are stable, the text is for people.
export type QueueErrorCode = 'BODY_MISSING' | 'BODY_DAMAGED' | 'QUEUE_UNREACHABLE' | 'QUEUE_FULL' | 'MEMORY_SHORT' | 'STREAM_MISMATCH' | 'RECORD_VERSION' | 'RECORD_UNREADABLE' | 'QUEUE_CLOSED'

export class QueueError extends Error {
  readonly code: QueueErrorCode
  constructor(code: QueueErrorCode, text: string) {
    super(text)
    this.name = 'QueueError'
    this.code = code
  }
}

export const unreachable = (): QueueError => new QueueError('QUEUE_UNREACHABLE', 'the queue does not answer')
