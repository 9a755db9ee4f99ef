export { Applier, isEqual } from './applier.ts'
