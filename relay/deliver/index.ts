export type { DeferClass, DeferReason, Outcome, RemoteReply } from './outcome.ts'
export { createDeliverer, type RunningDeliverer } from './deliverer.ts'
export type { DelivererOptions } from './shared.ts'
export { scheduleFor } from './route.ts'
