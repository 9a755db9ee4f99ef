export * from './gather/index.ts'
export * from './make/index.ts'
export * from './plan/index.ts'
export { attemptAll, strangerForms } from './probe/index.ts'
