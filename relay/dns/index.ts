export type { Answer, MxRecord, Resolver } from './answer.ts'
export { createResolver, type ResolverOptions } from './resolver.ts'
