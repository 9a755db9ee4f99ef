import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { several } from './several.ts'

it('of 20 pieces of work, 8 at a time, 1 of which throws, none goes on when that is thrown, and 0 begin after it', async () => {
  const [begun, done]: [number[], number[]] = [[], []]
  const work = async (n: number): Promise<void> => {
    begun.push(n)
    await sleep(n === 3 ? 5 : 30)
    if (n === 3) throw new Error('away')
    done.push(n)
  }
  await assert.rejects(several(Array.from({ length: 20 }, (_, n) => n), work), /away/)
  assert.deepEqual([begun.length, done.length], [8, 7])
})
