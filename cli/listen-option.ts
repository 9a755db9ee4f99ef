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

/** Where a listener opens: as `--listen` says for it, else on `--host` and the port of the snapshot. */
export const bindBy =
  ({ host, listen }: { readonly host: string; readonly listen: Listen }) =>
  ({ name, bindPort }: { readonly name: string; readonly bindPort: number }): { host: string; port: number } =>
    listen[name] === undefined ? { host: addressOf(host), port: bindPort } : hostPort(listen[name])
