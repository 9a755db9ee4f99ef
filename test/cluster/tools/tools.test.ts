// What the stories wait with and clean up with, against a kubectl that says what a cluster would: a wait that passes before anything has changed proves nothing.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { apiServerLacks } from './api-server.ts'
import { forApiServer } from './build.ts'
import type { Kubectl } from './kubectl.ts'
import type { Joined } from './shared.ts'
import { areGone } from './slate.ts'
import { SmallRelay } from './small-relay.ts'
import { isProof } from './soak.ts'

const saying = (answers: { readonly json?: () => object; readonly may?: () => { code: number; stdout: string } }): Kubectl =>
  Object.assign(() => Promise.resolve(''), {
    may: async () => ({ output: '', ...(answers.may?.() ?? { code: 0, stdout: '' }) }),
    apply: () => Promise.resolve(),
    applyText: () => Promise.resolve(),
    json: async <T>() => answers.json!() as T,
  })

test('a condition of the generation before is none: the wait for Programmed passes at the 3rd look, when the new one was judged', async () => {
  let looks = 0
  const told = (generation: number) => [{ type: 'Programmed', status: 'True', reason: 'Programmed', message: `of ${generation}`, observedGeneration: generation }]
  const kubectl = saying({ json: () => ({ metadata: { generation: 2 }, status: { conditions: told(++looks < 3 ? 1 : 2) } }) })
  const { message } = await new SmallRelay({ kubeconfig: '', images: { posthouse: '', nats: '' }, kubectl } satisfies Joined, 'mail').becomes('Programmed', 'Programmed')
  assert.deepEqual([message, looks], ['of 2', 3])
})

test('namespaces are gone when the API server says so, and not when it says nothing: 1 of 3 answers', async () => {
  const asked = (code: number, stdout: string): Promise<boolean> => areGone(saying({ may: () => ({ code, stdout }) }), ['mail'])
  assert.deepEqual(await Promise.all([asked(0, ''), asked(0, 'namespace/mail\n'), asked(1, '')]), [true, false, false])
})

test('0 stories pass by a note that they are not here: what a story cannot do without is one of its needs', () => {
  const home = join(import.meta.dirname, '..')
  const stories = readdirSync(home).filter((name) => /^c-\d\d-/.test(name))
  assert.ok(stories.length >= 18)
  assert.deepEqual(stories.filter((name) => /return ctx\.note\(/.test(readFileSync(join(home, name, 'story.ts'), 'utf8'))), [])
})

test('a soak in which nothing was written, or no cache was told, proves nothing: 1 of 4 results does', () => {
  const result = { seed: 1, seconds: 60, writes: 10, troubles: {}, told: 30, foundByList: 0, pages: 0, missed: 0, slowestRestSeconds: 1 }
  assert.deepEqual([result, { ...result, missed: 1 }, { ...result, writes: 0, told: 0 }, { ...result, told: 0 }].map(isProof), [true, false, false, false])
})

test('with nothing built an API server lacks 2 modules, and these are what npm run soak builds', (t) => {
  const { XDG_CACHE_HOME: before } = process.env
  const empty = mkdtempSync(join(tmpdir(), 'posthouse-no-cache-'))
  t.after(() => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = before
    rmSync(empty, { recursive: true })
  })
  process.env.XDG_CACHE_HOME = empty
  assert.deepEqual(new Set(apiServerLacks().map((lack) => lack.split(' ').at(-1))), new Set(forApiServer))
  assert.equal(forApiServer.length, 2)
})
