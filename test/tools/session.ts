// Steps that tests of the receiving side share: past the greeting, an envelope, a mail, and waiting for a condition.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { SnapshotInput } from '../../relay/snapshot/index.ts'
import { plainLogin, startTestReceiver, testSnapshot, type TestReceiver } from './receive.ts'
import { openLine, type Line } from './talk.ts'

export const simpleMail = 'Subject: x\r\n\r\nhello'

export const startReceiver = async (t: TestContext, change: (input: SnapshotInput) => void = () => {}): Promise<TestReceiver> => {
  const receiver = await startTestReceiver(testSnapshot(change))
  t.after(() => receiver.stop())
  return receiver
}

export const openTo = async (t: TestContext, receiver: TestReceiver, listener = 'mx'): Promise<Line> => {
  const line = await openLine({ port: receiver.port(listener), implicitTls: listener === 'submissions' })
  t.after(() => line.destroy())
  return line
}

/** Past the greeting and EHLO; on submissions also authenticated. */
export const greetedBy = async (t: TestContext, receiver: TestReceiver, listener = 'mx'): Promise<Line> => {
  const line = await openTo(t, receiver, listener)
  assert.match((await line.reply(30_000))?.[0] ?? 'closed', /^220 /)
  assert.match(await line.ask('EHLO client.example'), /^250 /)
  if (listener === 'submissions') assert.match(await line.ask(`AUTH PLAIN ${plainLogin()}`), /^235 /)
  return line
}

export const envelope = async (line: Line, from = 'a@client.example', to: readonly string[] = ['fred@hosted.example']): Promise<void> => {
  assert.match(await line.ask(`MAIL FROM:<${from}>`), /^250 /)
  for (const one of to) assert.match(await line.ask(`RCPT TO:<${one}>`), /^250 /)
}

/** Returns the reply to the final dot. */
export const sendMail = async (line: Line, text: string = simpleMail, from?: string, to?: readonly string[]): Promise<string> => {
  await envelope(line, from, to)
  assert.match(await line.ask('DATA'), /^354 /)
  return line.ask(`${text}\r\n.`)
}

export const waitUntil = async (isTrue: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 30_000
  while (!(await isTrue())) {
    assert.ok(Date.now() < deadline, 'waited 30 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** For startReceiver: these limits at each listener. */
export const withLimits = (limits: NonNullable<SnapshotInput['listeners'][number]['limits']>) => (input: SnapshotInput): void => {
  for (const listener of input.listeners) listener.limits = limits
}
