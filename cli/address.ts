// An envelope address as the queue and the timelines have it. Reads nothing.

/** Its domain in lower-case A-labels. The angle brackets of a log or a session may stand. undefined: it is none. */
export const addressOf = async (text: string): Promise<string | undefined> => {
  const { printMailbox, splitMailbox } = await import('../relay/snapshot/index.ts') // loaded when wanted, as the durations are
  const mailbox = splitMailbox(withoutBrackets(text))
  return mailbox && printMailbox(mailbox)
}

export const withoutBrackets = (text: string): string => text.replace(/^<(.+)>$/, '$1')
