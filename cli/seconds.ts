// How long a person may have us wait; --timeout: for any one answer.
import { Failure } from './failure.ts'

export const mostSeconds = 86_400 // a timer holds 24 days; what is longer would go off at once

/** Milliseconds. Throws Failure. */
export const patienceMs = (text: string): number => {
  const seconds = Number(text)
  if (!(seconds > 0 && seconds <= mostSeconds)) throw new Failure(`--timeout: seconds, such as 30, up to ${mostSeconds}`)
  return seconds * 1000
}
