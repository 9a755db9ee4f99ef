// After npm ci: what an older npm leaves out, so that the scripts of package.json work whatever Node started them.
// 1. npm 9 does not link the packaged node into node_modules/.bin. 2. Under Node 18 npm skips optional packages that ask for
// a newer one, among them the linter's binary, though they will run under Node 24: npm is run once more, under that.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packagedNode } from './packaged-node.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'node_modules', '.bin')
const node = packagedNode()
const [major, minor] = process.versions.node.split('.').map(Number)
const old = major < 20 || (major === 20 && minor < 19)

if (node && old && process.env.npm_execpath && process.env.npm_execpath.endsWith('npm-cli.js')) {
  const again = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync(node, [process.env.npm_execpath, ...again], { cwd: root, stdio: 'inherit' })
  if (status !== 0) console.error('npm could not be run under the packaged Node: the linter may be missing')
}
if (node && !existsSync(join(bin, 'node'))) {
  mkdirSync(bin, { recursive: true })
  symlinkSync(relative(bin, node), join(bin, 'node'))
}
