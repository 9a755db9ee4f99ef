// The tests that `npm run test:cluster` runs before the stories: those beside them, and those of its tools.
import { globSync } from 'node:fs'
import { join } from 'node:path'

const home = join(import.meta.dirname, '..')

export const testFiles = (): string[] => globSync(['*.test.ts', 'tools/*.test.ts'], { cwd: home }).map((name) => join(home, name)).sort()
