import assert from 'node:assert/strict'
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Snapshot } from '../../relay/snapshot/index.ts'
import { until } from '../../test/tools/until.ts'
import { compileFolder, stampToday, watchFolder } from './compile.ts'

test('a manifest that is changed between its compiling and the watch is compiled again, 1 time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-compile-'))
  const [manifests, data] = [join(folder, 'manifests'), join(folder, 'data')]
  cpSync(join(import.meta.dirname, '../../examples/quickstart'), manifests, { recursive: true })
  const seen = stampToday(manifests)
  await compileFolder(manifests, data)
  appendFileSync(join(manifests, 'more.yaml'), 'apiVersion: posthouse.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: more, namespace: mail}\nspec: {domain: more.example, inbound: {recipients: {mode: Any}, deliverTo: {hosts: [{host: 127.0.0.1, port: 2626}]}}}\n')
  const changed: Snapshot[] = []
  const watch = watchFolder(manifests, data, { seen }, (snapshot) => changed.push(snapshot))
  t.after(() => {
    watch.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await until('the change to be seen', () => changed.length > 0)
  assert.deepEqual(changed.map(({ domains }) => domains.some(({ domain }) => domain === 'more.example')), [true])
})
