// Finds the stories of a folder: s-NN-slug beside this file, c-NN-slug where a cluster is needed.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Story } from './story.ts'

export type Listed = { readonly name: string; readonly home: string; readonly story: Story }

export const catalogue = async (folder = import.meta.dirname): Promise<Listed[]> => {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[sc]-\d\d-/.test(entry.name) && existsSync(join(folder, entry.name, 'story.ts')))
    .map(({ name }) => name)
    .sort()
  return Promise.all(names.map((name) => load(folder, name)))
}

export const load = async (folder: string, name: string): Promise<Listed> => {
  const home = join(folder, name)
  const { story } = (await import(join(home, 'story.ts'))) as { story: Story }
  return { name, home, story }
}

/** All whose name starts with what was typed: `s-08` or `s-08-pods`. */
export const named = (all: readonly Listed[], typed: string): Listed[] => all.filter(({ name }) => name === typed || name.startsWith(`${typed}-`))
