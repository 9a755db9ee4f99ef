// Leaves out what is undefined: the snapshot's own defaults then count. Pure.

export type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

export const present = <T extends object>(fields: T): Present<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>
