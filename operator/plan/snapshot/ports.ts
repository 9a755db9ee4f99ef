// Which port a listener opens: a process without privileges cannot open those below 1024. Pure.

/** 25 becomes 2525; others below 1024 become port + 2000 (465 is 2465, 587 is 2587); the rest stays. */
export const bindPortOf = (port: number): number => (port === 25 ? 2525 : port < 1024 ? port + 2000 : port)
