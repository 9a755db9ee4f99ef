// The API server that tests of the operator use, where it was built: it starts, is interrupted, goes on with its data, and leaves nothing.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { runChild } from '../../tools/child.ts'
import { until } from '../../tools/until.ts'
import { apiServerLacks, startApiServer } from './api-server.ts'
import { programPath } from './build.ts'

const lacks = apiServerLacks()

const listens = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })

test('an API server keeps 1 namespace over a kill, knows its users, and leaves 0 files and 0 processes', { skip: lacks.length > 0 && lacks.join('; ') }, async () => {
  const server = await startApiServer({ users: { nobody: [] } })
  const kubectl = (kubeconfig: string, ...args: string[]) => runChild(programPath('kubectl'), ['--kubeconfig', kubeconfig, ...args], { mayFail: true })
  try {
    assert.equal((await kubectl(server.kubeconfig, 'create', 'namespace', 'mail')).code, 0)
    assert.equal(await listens(server.url), true)
    await server.interrupt()
    assert.equal(await listens(server.url), false)
    await server.resume()
    await server.resume() // a story says it again at its end, however that was
    assert.match((await kubectl(server.kubeconfig, 'get', 'namespaces', '--output', 'name')).output, /^namespace\/mail$/m)
    assert.match((await kubectl(server.kubeconfigOf('nobody'), 'get', 'namespaces')).output, /Forbidden/)
    await server.interrupt()
    assert.equal(await listens(server.url), false)
    await server.resume()
  } finally {
    await server.stop()
  }
  assert.equal(existsSync(server.folder), false)
  assert.equal(await listens(server.url), false)
})

test('controllers that are killed, or whose API server was away, are at work again: each of 3 namespaces gets its account', { skip: lacks.length > 0 && lacks.join('; ') }, async () => {
  const server = await startApiServer({ controllerManager: true })
  const kubectl = (...args: string[]) => runChild(programPath('kubectl'), ['--kubeconfig', server.kubeconfig, ...args], { mayFail: true })
  const works = async (namespace: string): Promise<void> => {
    assert.equal((await kubectl('create', 'namespace', namespace)).code, 0)
    await until('its account', async () => (await kubectl('get', 'serviceaccount', 'default', '--namespace', namespace)).code === 0, 60_000, 300)
  }
  try {
    await works('first')
    assert.equal((await runChild('pkill', ['-KILL', '-f', `kube-controller-manager.*${server.folder}/`])).code, 0)
    await works('second')
    await server.interrupt()
    await server.resume()
    await works('third')
  } finally {
    await server.stop()
  }
})
