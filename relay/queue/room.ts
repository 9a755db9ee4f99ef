// Memory for mail that is not stored yet: bounded; who finds no room waits, at most for as long as he has patience.
import type { Clock } from './clock.ts'

export type Room = { take(bytes: number, patienceMs: number): Promise<boolean>; give(bytes: number): void; used(): number }

export const createRoom = (limit: number, clock: Clock): Room => {
  let used = 0
  const waiting: { readonly bytes: number; readonly enter: () => void }[] = []
  const fits = (bytes: number) => used === 0 || used + bytes <= limit // something bigger than the room passes alone
  const letIn = () => {
    while (waiting[0] && fits(waiting[0].bytes)) {
      const first = waiting.shift()!
      used += first.bytes
      first.enter()
    }
  }
  const wait = (bytes: number, patienceMs: number) =>
    new Promise<boolean>((resolve) => {
      const place = { bytes, enter: () => (cancel(), resolve(true)) }
      const cancel = clock.after(patienceMs, () => {
        waiting.splice(waiting.indexOf(place), 1)
        resolve(false)
        letIn()
      })
      waiting.push(place)
    })
  return {
    take: (bytes, patienceMs) => {
      if (waiting.length > 0 || !fits(bytes)) return wait(bytes, patienceMs)
      used += bytes
      return Promise.resolve(true)
    },
    give: (bytes) => {
      used -= bytes
      letIn()
    },
    used: () => used,
  }
}
