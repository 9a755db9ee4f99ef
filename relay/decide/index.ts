export type { Because, Client, Reply, Verdict } from './verdict.ts'
