// What a scenario is: a title, what it needs, and the story itself. A folder s-NN-slug holds it with its manifests.
import type { Child } from '../tools/child.ts'
import type { Need } from './needs.ts'

export type Story = {
  readonly title: string
  readonly needs: readonly Need[]
  /** Killed and failed past that, which is for what hangs: a machine may be 10 times slower. 400 s where not said. */
  readonly limitSeconds?: number
  /** Its time goes by in waiting; it runs beside the others. */
  readonly mostlyWaits?: true
  run(ctx: Ctx): Promise<void>
}

export type Ctx = {
  /** A folder of this run alone; removed when the scenario passed. */
  readonly folder: string
  /** The scenario's own folder, with its manifests and talks. */
  readonly home: string
  /** Says what happens now; shown on a terminal and in failures. */
  step(title: string): void
  /** A figure worth keeping, printed with the result. */
  note(name: string, value: number | string): void
  /** A part of the story that cannot be told here, as on a cluster of somebody else's: printed with the result, so that it passes for no more than it was. */
  without(part: string): void
  /** Runs at the end, last first, whatever happened. */
  cleanup(what: () => unknown): void
  /** A child whose output lands in the run's folder. */
  start(command: string, args: readonly string[], options?: { name?: string; env?: NodeJS.ProcessEnv; cwd?: string }): Child
}
