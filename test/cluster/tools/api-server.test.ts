// The API server that tests of the operator use, where it was built: it starts, is interrupted, goes on with its data, and leaves nothing.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { runChild } from '../../tools/child.ts'
import { apiServerLacks, startApiServer } from './api-server.ts'
import { programPath } from './build.ts'

const lacks = apiServerLacks()

test('an API server keeps 1 namespace over a kill, knows its users, and leaves 0 files and 0 processes', { skip: lacks.length > 0 && lacks.join('; ') }, async () => {
  const server = await startApiServer({ users: { nobody: [] } })
  const kubectl = (kubeconfig: string, ...args: string[]) => runChild(programPath('kubectl'), ['--kubeconfig', kubeconfig, ...args], { mayFail: true })
  try {
    assert.equal((await kubectl(server.kubeconfig, 'create', 'namespace', 'mail')).code, 0)
    await server.interrupt()
    await assert.rejects(fetch(server.url))
    await server.resume()
    assert.match((await kubectl(server.kubeconfig, 'get', 'namespaces', '--output', 'name')).output, /^namespace\/mail$/m)
    assert.match((await kubectl(server.kubeconfigOf('nobody'), 'get', 'namespaces')).output, /Forbidden/)
  } finally {
    await server.stop()
  }
  assert.equal(existsSync(server.folder), false)
  await assert.rejects(fetch(server.url))
})
