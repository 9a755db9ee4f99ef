// `--listen name=host:port` and `host:port`, as several commands take them.
import { Option } from 'commander'
import { Failure } from './failure.ts'

export type Listen = Readonly<Record<string, string>>

export const listenOption = (text: string): Option =>
  new Option('--listen <name=host:port>', text).argParser(collectListen).default({}, 'as declared')

const collectListen = (value: string, all: Listen): Listen => {
  const at = value.indexOf('=')
  if (at < 1) throw new Failure(`--listen ${value}: name=host:port, such as mx=127.0.0.1:2525`)
  hostPort(value.slice(at + 1))
  return { ...all, [value.slice(0, at)]: value.slice(at + 1) }
}

/** `::` is every address of both families. A kernel without IPv6 has no such address: Node then takes 0.0.0.0, if it is not told. */
const addressOf = (host: string): string => (host === '::' ? '' : host)

/** Throws Failure where the text is none. */
export const hostPort = (text: string): { host: string; port: number } => {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  if (!found || Number(found[3]) > 65_535) throw new Failure(`${text}: host:port, such as 127.0.0.1:2525 or [::1]:2525`)
  return { host: addressOf(found[1] ?? found[2]!), port: Number(found[3]) }
}

export type Opening = { readonly host?: string; readonly listen?: Listen }

/** Where clients on this machine reach what `bindBy` opens: every address is reached by 127.0.0.1. */
export const reachedAt = ({ host = '127.0.0.1', listen = {} }: Opening): { hosts: string[]; reach: (listener: { readonly name: string; readonly bindPort: number }) => { host: string; port: number } } => {
  const reachable = (bound: string): string => (['', '::', '0.0.0.0'].includes(bound) ? '127.0.0.1' : bound)
  const reach = (listener: { readonly name: string; readonly bindPort: number }) => {
    const bound = bindBy({ host, listen })(listener)
    return { ...bound, host: reachable(bound.host) }
  }
  return { hosts: [host, ...Object.values(listen).map((at) => hostPort(at).host)].map(reachable), reach }
}

/** Throws Failure for a name that no listener has: it would move nothing. */
export const refuseUnknown = (listen: Listen, { relay, listeners }: { readonly relay: { readonly manifest: string }; readonly listeners: readonly { readonly name: string }[] }): void => {
  const names = listeners.map(({ name }) => name)
  for (const [name, at] of Object.entries(listen)) if (!names.includes(name)) throw new Failure(`--listen ${name}=${at}: no such listener; ${relay.manifest} has ${names.join(', ')}`)
}

/** Where a listener opens: as `--listen` says for it, else on `--host` and the port of the snapshot. */
export const bindBy =
  ({ host, listen }: { readonly host: string; readonly listen: Listen }) =>
  ({ name, bindPort }: { readonly name: string; readonly bindPort: number }): { host: string; port: number } =>
    Object.hasOwn(listen, name) ? hostPort(listen[name]!) : { host: addressOf(host), port: bindPort }
