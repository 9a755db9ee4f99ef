export { documentsOf } from './documents.ts'
export { gather } from './from-files.ts'
export { nearMiss } from '../near-miss.ts'
