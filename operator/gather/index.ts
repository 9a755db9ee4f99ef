export { inOrder, readManifests, type Gathered } from './from-files.ts'
export { printPath, printProblem, problemCodes, type Problem, type ProblemCode } from './problem.ts'
