// Whether anything can be stored, and which server has all that is, from what is said of the stream. Pure. A leader that nobody follows any more goes on answering
// questions for 20 s, and then, without a leader, whoever is asked: for as long as the servers do not hear of each other.

export type Cluster = { readonly leader?: string; readonly replicas?: readonly Replica[] }
type Replica = { readonly name?: string; readonly current?: boolean; readonly offline?: boolean; readonly active?: number }

const heardWithinMs = 4_000 // they speak every second; as long as we wait for an answer

/** `info`: the answer to STREAM.INFO. A server alone has no cluster. */
export const hasQuorum = ({ cluster = { leader: 'it' } }: { readonly cluster?: Cluster }): boolean => {
  const { leader = '', replicas = [] } = cluster
  const heard = replicas.filter(({ offline, active = 0 }) => offline !== true && active / 1e6 < heardWithinMs) // the wire counts nanoseconds
  return leader !== '' && 2 * (heard.length + 1) > replicas.length + 1
}

/** Whether that server has all that the leader has; one that was away shows for seconds what has been removed since, and not what was said of it. A server alone has no cluster. */
export const isCurrent = ({ cluster }: { readonly cluster?: Cluster }, server: string | undefined): boolean =>
  cluster === undefined || server === undefined || server === cluster.leader || cluster.replicas?.some(({ name, current }) => name === server && current === true) === true
