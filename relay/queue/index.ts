export type * from './types.ts'
export { openQueue, type QueueOptions } from './open.ts'
export { newMessageId, laneOf } from './lanes.ts'
export { QueueError, type QueueErrorCode } from './errors.ts'
