// The side we compare with: Debian's Postfix, relaying to a next host, tuned as its TUNING_README says. Fsyncs before 250, as it always does.
import { join } from 'node:path'
import { startPostfix } from '../tools/postfix.ts'
import type { Side } from './load.ts'

/** Every setting that differs from the default, with the reason; printed with the results. */
export const tuned: Readonly<Record<string, { readonly value: string; readonly why: string }>> = {
  default_process_limit: { value: '250', why: 'one smtpd for each client, and as many smtp as it wants' },
  smtpd_client_connection_count_limit: { value: '0', why: 'all clients have one address' },
  in_flow_delay: { value: '0', why: 'do not slow the input when it is ahead of the output' },
  initial_destination_concurrency: { value: '20', why: 'no slow start to the one destination' },
  default_destination_concurrency_limit: { value: '50', why: 'the one destination may have many connections' },
  maillog_file: { value: '', why: 'no log: a log line per step would cost it time' },
}

export const startPostfixSide = async (folder: string, hop: { readonly port: number }, arrived: () => number, more: Record<string, string> = {}): Promise<Side & { stop(): Promise<void> }> => {
  const settings = Object.fromEntries(Object.entries(tuned).map(([name, { value }]) => [name, value]))
  const postfix = await startPostfix({ folder: join(folder, 'postfix'), relayTo: hop.port, settings: { ...settings, ...more } })
  return { name: 'Postfix', port: postfix.port, arrived, stop: () => postfix.stop() }
}
