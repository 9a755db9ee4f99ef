import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { certificateFor, newAuthority } from '../make/certificates.ts'
import { until } from '../../test/tools/until.ts'
import { accountAccess, createKube, type KubeError } from './index.ts'

it('a ServiceAccount is its token and its CA: both are read again when they change, 2 times here; another CA is not believed', async (t) => {
  const now = new Date()
  const authority = { ...newAuthority(now), trust: '' }
  const { certificate, key } = certificateFor(['127.0.0.1'], authority, now)
  const seen: (string | undefined)[] = []
  const server = createServer({ cert: certificate, key }, ({ headers }, response) => {
    seen.push(headers.authorization)
    response.end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-account-'))
  t.after(() => (server.closeAllConnections(), server.close(), rmSync(folder, { recursive: true })))
  const write = (token: string, ca: string): void => (writeFileSync(join(folder, 'token'), `${token}\n`), writeFileSync(join(folder, 'ca.crt'), ca))
  write('first', authority.certificate)
  const kube = createKube(accountAccess(folder, '127.0.0.1', String((server.address() as AddressInfo).port), 50))
  await kube.call({ path: '/' })
  write('second', authority.certificate)
  await until('the new token', async () => (await kube.call({ path: '/' }), seen.at(-1) === 'Bearer second'))
  assert.deepEqual([...new Set(seen)], ['Bearer first', 'Bearer second'])
  write('third', newAuthority(now).certificate)
  const error = await until('a refusal', () => kube.call({ path: '/', tries: 1 }).then(() => undefined, (why: KubeError) => why))
  assert.deepEqual([error.status, /certificate/.test(error.message), seen.includes('Bearer third')], [0, true, false])
})
