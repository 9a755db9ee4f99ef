export type { Answer, MxRecord, Resolver } from './answer.ts'
export { createResolver } from './resolver.ts'
