import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { until } from '../../test/tools/until.ts'
import { createLog } from './log.ts'

const inFolder = async (work: (folder: string) => Promise<void>) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-log-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the log', () => {
  it('writes 1 JSON object a line with code, pod and the fields given, mode 0600', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'relay.log')
      createLog({ pod: 'p1', file }).info('REFUSED', { reply: '550 5.7.1 no\r\nforged line', rule: 'r' })
      // the file is opened and written beside the caller: at first it may not even be there
      await until('the line', () => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0)
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
      assert.equal(lines.length, 1)
      const { code, pod, reply, rule, level } = JSON.parse(lines[0]!) as Record<string, unknown>
      assert.deepEqual({ code, pod, reply, rule, level }, { code: 'REFUSED', pod: 'p1', reply: '550 5.7.1 no\r\nforged line', rule: 'r', level: 30 })
      assert.equal(statSync(file).mode & 0o777, 0o600)
    }))

  it('keeps the last of 3 lines when the process ends right after', () => {
    const script = `const { createLog } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))}); const log = createLog({ pod: 'p' }); for (let n = 0; n < 3; n++) log.warn('STOP', { n }); process.exit(0)`
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    assert.deepEqual(out.trimEnd().split('\n').map((line) => (JSON.parse(line) as { n: number }).n), [0, 1, 2])
  })

  it('on a disk that is full costs lines, and not the process: 20,000 lines to /dev/full, at the end too', { skip: !existsSync('/dev/full') && 'there is no /dev/full here' }, () => {
    const script = `const { createLog } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))}); const log = createLog({ pod: 'p', file: '/dev/full' }); for (let n = 0; n < 20_000; n++) log.warn('STOP', { n }); await new Promise((go) => setTimeout(go, 1200)); console.log('alive', process.memoryUsage().rss < 300e6); process.exit(0)`
    assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }), 'alive true\n')
  })

  it('says how many of 40,000 lines are lost when there is room again, and keeps the others in their order', { skip: !existsSync('/usr/bin/prlimit') && 'there is no prlimit here' }, () =>
    inFolder(async (folder) => {
      const file = join(folder, 'relay.log')
      const script = `
        import { execFileSync } from 'node:child_process'
        const { createLog } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))})
        const log = createLog({ pod: 'p', file: ${JSON.stringify(file)} })
        for (let n = 0; n < 40_000; n++) log.warn('STOP', { n })
        await new Promise((go) => setTimeout(go, 700))
        execFileSync('/usr/bin/prlimit', ['--pid', String(process.pid), '--fsize=unlimited'])
        await new Promise((go) => setTimeout(go, 1_500))
        process.exit(0)`
      const limited = `ulimit -S -f 64; exec ${JSON.stringify(process.execPath)} --input-type=module -e "$1"` // 32 KiB
      execFileSync('sh', ['-c', limited, 'sh', script])
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { code: string; n: number; count?: number })
      const lost = lines.filter(({ code }) => code === 'LOG_LOST')
      const kept = lines.filter(({ code }) => code === 'STOP').map(({ n }) => n)
      assert.equal(lost.length, 1)
      assert.equal(kept.length + lost[0]!.count!, 40_000)
      assert.deepEqual(kept, kept.map((_, n) => n))
    }))
})
