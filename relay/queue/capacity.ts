// How much mail a volume has room for. Pure.

const logsBytes = 24 * 2 ** 20 // what a server writes ahead of the stream, and the block it is at

/**
 * Bytes of records that fit on a volume of so many bytes. A server packs a block of its files anew only once more than half of it is gone: where what is delivered and what waits lie
 * mixed, or where every mail is written a second time because it is deferred, the files take twice what is in them (measured: s-25). What cannot be written cannot be settled either, so
 * a volume that is full never gets empty again by itself.
 */
export const capacityOf = (volume: number): number => Math.floor(Math.max(volume / 2 - logsBytes, volume / 8))

/** The share of it at which accepting stops: the rest is for settling. */
export const fullAt = 0.8
