// Runs one scenario in this process and ends it: exit 0 passed, 1 failed. Started by run.ts, one process each.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startChild, type Child } from '../tools/child.ts'
import { keepTestNats } from '../tools/nats.ts'
import { load } from './catalogue.ts'
import type { Ctx } from './story.ts'

const [name, folder, stories] = process.argv.slice(2)
if (name === undefined || folder === undefined || stories === undefined) throw new Error('usage: one.ts NAME FOLDER STORIES')

const cleanups: (() => unknown)[] = []
const children: Child[] = []

const ctx = (home: string): Ctx => ({
  folder,
  home,
  step: (title) => console.log(`step: ${title}`),
  note: (what, value) => console.log(`note: ${what} = ${value}`),
  without: (part) => console.log(`without: ${part}`),
  cleanup: (what) => void cleanups.push(what),
  start: (command, args, options = {}) => {
    const child = startChild(command, args, { ...options, log: join(folder, `${options.name ?? 'child'}-${children.length}.log`) })
    children.push(child)
    return child
  },
})

const clean = async (): Promise<void> => {
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup()
    } catch (error) {
      console.log(`cleaning up: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  await Promise.all(children.map((child) => child.stop(5000)))
}

const main = async (): Promise<number> => {
  mkdirSync(folder, { recursive: true })
  try {
    const { home, story } = await load(stories, name)
    await story.run(ctx(home))
    return 0
  } catch (error) {
    console.log(error instanceof Error ? (error.stack ?? error.message) : String(error))
    keepTestNats()
    return 1
  } finally {
    await clean()
  }
}

process.once('SIGTERM', () => process.exit(143)) // the exit handlers of the tools kill their children
process.exit(await main())
