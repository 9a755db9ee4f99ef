// Ctrl-C and SIGTERM: the first asks to drain, the second ends at once.

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process with 130. */
export const untilSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    let asked = false
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        if (asked) process.exit(130)
        asked = true
        resolve(signal)
      })
  })
