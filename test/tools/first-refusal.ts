// Mail to a full disk: a record may still fit behind the last one in its page, and is stored then.

/** The reply to the first mail that is not taken, and how many were before it. Throws where all of 100 are. */
export const firstRefusal = async (send: (n: number) => Promise<string>): Promise<{ readonly stored: number; readonly told: string }> => {
  for (let stored = 0; stored < 100; stored++) {
    const told = await send(stored)
    if (!told.startsWith('250 ')) return { stored, told }
  }
  throw new Error('none of 100 mails was refused')
}
