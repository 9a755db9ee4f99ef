// One measured run: Debian's smtp-source into a relay, and a next host behind it that counts. The same two for every relay.
import { runChild } from '../tools/child.ts'
import { until } from '../tools/until.ts'

/** A relay under load, whoever made it. */
export type Side = { readonly name: 'Posthouse' | 'Postfix'; readonly port: number; /** Arrived at the next host so far. */ readonly arrived: () => number }

export type LoadRun = { readonly side: string; readonly clients: number; readonly messages: number; readonly acceptSeconds: number; readonly endToEndSeconds: number; readonly perSecond: number }

type Load = { readonly clients: number; readonly messages: number; readonly bytes: number; readonly patienceMs: number }

/** Resolves when all of it is accepted. */
export const offer = async (port: number, { clients, messages, bytes, patienceMs }: Load): Promise<void> => {
  const source = ['-d', '-s', `${clients}`, '-m', `${messages}`, '-l', `${bytes}`, '-f', 'sender@load.example', '-t', 'receiver@sink.example', `127.0.0.1:${port}`]
  await runChild('/usr/sbin/smtp-source', source, { forMs: patienceMs })
}

/** From the first connect to the last arrival at the next host. Connections are kept (-d), as a busy client keeps them. */
export const loadOnce = async (side: Side, load: Omit<Load, 'patienceMs'> & { readonly patienceMs?: number }): Promise<LoadRun> => {
  const before = side.arrived()
  const patience = load.patienceMs ?? 180_000
  const started = performance.now()
  await offer(side.port, { ...load, patienceMs: patience })
  const accepted = performance.now()
  await until(`${side.name} to deliver ${load.messages} mails`, () => side.arrived() - before >= load.messages, patience, 5)
  const arrived = performance.now()
  const endToEndSeconds = (arrived - started) / 1000
  return { side: side.name, clients: load.clients, messages: load.messages, acceptSeconds: (accepted - started) / 1000, endToEndSeconds, perSecond: load.messages / endToEndSeconds }
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
