// Makes once, and keeps, what a cluster's operator would: a CA, certificates, credentials of MailSenders, DKIM keys.
// Steps: read what is there; make what is lacking or running out; hand back what the plan wants. Touches its own folder only, mode 0600.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { authorityFrom, authorityIn, certificateFrom, credentialFrom, dkimKeysFor, type Data, type Made, type Need } from '../../operator/index.ts'
import { folderFor, readIn, writeSecretly } from './secret-files.ts'

type NeedFor<K extends Need['kind']> = Extract<Need, { kind: K }>

/** `reach`: where clients on this machine reach a listener; `hosts`: all such addresses, for the certificates. */
export type MadeOptions = { readonly folder: string; readonly now: Date; readonly hosts: readonly string[]; readonly reach: Reach }
type Reach = (listener: { readonly name: string; readonly bindPort: number }) => { readonly host: string; readonly port: number }

export const make = async (needs: readonly Need[], { folder, now, hosts, reach }: MadeOptions): Promise<Made> => {
  const of = <K extends Need['kind']>(kind: K) => needs.filter((need): need is NeedFor<K> => need.kind === kind)
  const inFolder = (...parts: string[]) => folderFor(folder, ...parts)
  const authority = authorityIn(keep(inFolder('ca'), (kept) => ({ data: authorityFrom(kept, now) })).data)
  const certificateOf = ({ relay, names }: NeedFor<'certificate'>) => {
    const wanted = [...new Set([...names, ...hosts, 'localhost', '127.0.0.1', '::1'])]
    const { data } = keep(inFolder('certificates', fileName(relay)), (kept) => ({ data: certificateFrom(kept, wanted, authority, now) }))
    return { certificate: data['tls.crt'], key: data['tls.key'] }
  }
  const credentialOf = (need: NeedFor<'credential'>) =>
    keep(inFolder('senders', fileName(need.sender)), (kept) => credentialFrom(kept, need, reach({ name: need.listener, bindPort: need.bindPort }), authority, now)).made
  const dkim: Record<string, Made['dkim'][string][number][]> = {}
  for (const need of of('dkim')) {
    const place = inFolder('dkim', fileName(need.for))
    const { keys, data } = await dkimKeysFor(need, dataIn(place), now) // nobody here looks into DNS: time alone decides
    keep(place, () => ({ data }))
    ;(dkim[need.for] ??= []).push(...keys)
  }
  return {
    certificates: Object.fromEntries(of('certificate').map((need) => [need.relay, certificateOf(need)])),
    credentials: Object.fromEntries(of('credential').map((need) => [need.sender, credentialOf(need)])),
    dkim,
  }
}

/** mail/demo as one file name; a namespace holds no dot, so no two can meet. */
const fileName = (key: string): string => key.replace('/', '.')

/** Reads the folder, and writes what has changed, in the order given. */
const keep = <T extends { readonly data: Data }>(folder: string, from: (kept: Data) => T): T => {
  const kept = dataIn(folder)
  const made = from(kept)
  for (const [name, text] of Object.entries(made.data)) if (kept[name] !== text) writeSecretly(join(folder, name), text)
  return made
}

const dataIn = (folder: string): Data => {
  const names = readdirSync(folder).filter((name) => !/\.[0-9a-f]{8}$/.test(name)) // drafts of a write that was cut short
  return Object.fromEntries(names.map((name) => [name, readIn(folder, name)!]))
}
