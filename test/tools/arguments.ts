// What the commands for those who work on Posthouse are given. An option that is not there is answered with the usage and 2, --help with the usage and 0.
import { parseArgs, type ParseArgsConfig } from 'node:util'

const refuse = (why: string, usage: string): never => {
  console.error(`${why}\n\n${usage}`)
  process.exit(2)
}

export const argumentsOf = <T extends ParseArgsConfig>(usage: string, config: T): ReturnType<typeof parseArgs<T>> => {
  if (process.argv.slice(2).some((text) => text === '--help' || text === '-h')) {
    console.log(usage)
    process.exit(0)
  }
  try {
    return parseArgs(config)
  } catch (error) {
    return refuse((error as Error).message, usage)
  }
}

/** Any number above 0; `name` is how a person wrote it. */
export const numberAbove0 = (name: string, text: string, usage: string): number => {
  const value = Number(text)
  return Number.isFinite(value) && value > 0 ? value : refuse(`${name} ${text}: a number above 0`, usage)
}

export const oneOf = <T extends string>(name: string, text: string, known: readonly T[], usage: string): T => known.find((value) => value === text) ?? refuse(`${name} ${text}: one of ${known.join(', ')}`, usage)
