// One attempt of a stranger, to the end of DATA: a 250 at RCPT decides nothing, many refuse later. Says what came of it; talks through `ask`, knows no socket.
import { strangerMessage, type Form } from './forms.ts'

/** Sends lines and gives the code of the reply; undefined: the connection is gone, or no reply came. */
export type Ask = (text: string) => Promise<number | undefined>

/** `put off`: nothing was taken, and nothing was refused for good. */
export type Result = 'relayed' | 'refused' | 'put off' | 'lost'

export const attempt = async (ask: Ask, { from, to }: Form, domain: string): Promise<Result> => {
  for (const command of [`MAIL FROM:${from}\r\n`, `RCPT TO:${to}\r\n`, 'DATA\r\n']) {
    const code = await ask(command)
    if (code === undefined || code >= 400) return resultOf(code)
  }
  return resultOf(await ask(strangerMessage(domain)))
}

const resultOf = (code: number | undefined): Result => (code === undefined ? 'lost' : code < 400 ? 'relayed' : code < 500 ? 'put off' : 'refused')

export type Tried = { readonly form: Form; readonly result: Result }

/** All forms in one session, until one gets through or the connection is gone. */
export const attemptAll = async (ask: Ask, forms: readonly Form[], domain: string): Promise<Tried[]> => {
  const tried: Tried[] = []
  for (const form of forms) {
    const result = await attempt(ask, form, domain)
    tried.push({ form, result })
    if (result === 'relayed' || result === 'lost') break
    if ((await ask('RSET\r\n')) === undefined) break
  }
  return tried
}
