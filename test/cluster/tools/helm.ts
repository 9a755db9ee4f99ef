// helm against one cluster: the one that was built with it.
import { runChild } from '../../tools/child.ts'
import { programPath } from './build.ts'
import type { Joined } from './shared.ts'

export const helm = async ({ kubeconfig }: Pick<Joined, 'kubeconfig'>, ...args: string[]): Promise<string> => (await runChild(programPath('helm'), ['--kubeconfig', kubeconfig, ...args], { forMs: 300_000 })).stdout
