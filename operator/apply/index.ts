export { Applier } from './applier.ts'
