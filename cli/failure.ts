// Errors a person caused or can mend, and the exit codes: 1 the answer is no, 2 it could not be asked.

export class Failure extends Error {
  readonly exitCode: 1 | 2
  constructor(text: string, exitCode: 1 | 2 = 2) {
    super(text)
    this.exitCode = exitCode
  }
}
