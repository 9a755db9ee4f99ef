export { inOrder, readManifests, type Gathered } from './from-files.ts'
export { printPath, printProblem, problemCodes, type Problem, type ProblemCode } from './problem.ts'
export { gatherCluster, secretsNamed, type FromCluster } from './from-cluster.ts'
export { essenceOfNode, nodeAddresses, podRanges } from './node-addresses.ts'
