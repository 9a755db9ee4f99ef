#!/usr/bin/env node
// Starts the CLI under Node 24 (which runs TypeScript as it is), whatever Node started this file.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packagedNode } from './packaged-node.mjs'

const main = join(dirname(fileURLToPath(import.meta.url)), '..', 'cli', 'main.ts')
const args = process.argv.slice(2)
// What moves mail makes much short-lived garbage. Without the first two, V8 lets it grow past 300 MB before it looks;
// without the third it marks the whole heap three times a second under load, a third of all the CPU time (docs/bench.md).
const heap = ['--max-semi-space-size=16', '--max-old-space-size=384', '--heap-growing-percent=100']
// glibc keeps what is freed in an arena for each thread, and a buffer of a large mail beside small ones: fewer arenas, and large buffers go back to the system at once
const malloc = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' }
const small = ['--max-semi-space-size=4', '--max-old-space-size=256'] // the operator waits most of the time
const heapOf = { relay: heap, standalone: heap, operator: small }
const environment = heapOf[args[0]] === heap ? { ...malloc, ...process.env } : process.env
const flags = Object.hasOwn(heapOf, args[0] ?? '') ? [...heapOf[args[0]], '--disable-warning=ExperimentalWarning'] : []
const [major, minor] = process.versions.node.split('.').map(Number)
const newEnough = major > 22 || (major === 22 && minor >= 18)

if (newEnough && flags.every((flag) => process.execArgv.includes(flag))) await import(main)
else become(newEnough ? process.execPath : node24())

/** The same process where Node can do that, else a child that gets our signals. */
function become(node) {
  if (typeof process.execve === 'function') {
    process.removeAllListeners('warning') // that execve is experimental: the other way stands below
    process.execve(node, [node, ...flags, main, ...args], environment)
  }
  const child = spawn(node, [...flags, main, ...args], { stdio: 'inherit', env: environment })
  // a terminal sends Ctrl-C to both of us; the child decides when to end
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(signal ? 128 : (code ?? 1)))
}

function node24() {
  const node = packagedNode()
  if (node) return node
  console.error(`posthouse needs Node 22.18 or newer (this is ${process.version}) and found no packaged one: run npm ci without --omit=optional`)
  return process.exit(1)
}
