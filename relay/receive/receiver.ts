// oxlint-disable no-underscore-dangle -- the library's members are spelt so
// One open listener: the library's server with our sessions, our PROXY reader, and the counts of who is connected.
import { SMTPServer } from 'smtp-server'
import type { Socket } from 'node:net'
import { indexOf, reply, type Reply } from '../decide/index.ts'
import { anyHolds, prefixesIn, type Listener, type Snapshot } from '../snapshot/index.ts'
import { readProxy, type ProxiedClient, type ProxyHeaderError } from './proxy.ts'
import { Session } from './session.ts'
import { sourceOf } from './source.ts'
import type { Door, State, World } from './state.ts'
import { tlsOf } from './tls.ts'

type SocketOptions = NonNullable<Parameters<SMTPServer['connect']>[1]> & { id: string; trustedProxy?: boolean }

/** The second of a TLS handshake. */
type LibraryError = NodeJS.ErrnoException & { readonly remoteAddress?: string; readonly meta?: { readonly remoteAddress?: string } }

export class Receiver extends SMTPServer {
  readonly door: Door
  listener: Listener
  readonly sessions = new Set<Session>()
  leaving = false
  where: { readonly host: string; readonly port: number } | undefined
  readonly #proxied = new WeakMap<Session, boolean>()
  readonly #behindProxy = new WeakMap<Socket, string>() // what a connection's header says that its source is
  #whenEmpty: (() => void)[] = []

  constructor(door: Door, snapshot: Snapshot, listener: Listener) {
    super({
      secure: listener.protocol === 'Submissions',
      logger: false,
      disableReverseLookup: true,
      maxClients: listener.limits.connections,
      socketTimeout: listener.limits.greetingSeconds * 1000, // of the TLS handshake; sessions have clocks of their own
      ...tlsOf(snapshot, listener),
    })
    this.door = door
    this.listener = listener
    this.on('error', (error: LibraryError) => {
      if (error.syscall !== 'listen') this.#noteError(error, error.remoteAddress ?? error.meta?.remoteAddress) // who opens it hears of that
    })
  }

  /** The manifest changed: limits and rules hold from the next command, certificates from the next handshake. */
  update(snapshot: Snapshot, listener: Listener): void {
    const { connections, greetingSeconds } = listener.limits
    this.updateSecureContext({ ...tlsOf(snapshot, listener), maxClients: connections, socketTimeout: greetingSeconds * 1000 })
    this.listener = listener
  }

  override connect(socket: Socket, options?: SocketOptions): void {
    const session = new Session(this, socket, {
      id: options?.id ?? sessionId(), remoteAddress: options?.remoteAddress ?? socket.remoteAddress ?? '', remotePort: options?.remotePort ?? socket.remotePort ?? 0,
    })
    this.connections.add(session)
    this.sessions.add(session)
    this.#proxied.set(session, options?.trustedProxy === true)
    session.on('error', (error) => this._onError(error as Error))
    this.#count(session.state.source, 1)
    this.door.world.metrics.openConnections.inc({ listener: this.listener.name })
    session.init()
  }

  /** Strangers must wait for the greeting; a proxy we trust may send ahead. */
  testsEarlyTalkers(session: Session): boolean {
    return this.listener.protocol === 'SMTP' && this.#proxied.get(session) !== true
  }

  refuseConnection({ world, address, source }: State): Reply | undefined {
    const { name } = this.listener
    const refused = this.#overCount(address, source) ?? this.#overRate(world, source)
    world.metrics.connections.inc({ listener: name, result: refused ? 'refused' : 'taken' })
    return refused
  }

  #overCount(address: string, source: string): Reply | undefined {
    const { name, limits } = this.listener
    if (this.sessions.size > limits.connections) return reply('too-many-connections', { limit: limits.connections, listener: name })
    const mine = this.door.sources.get(this.#key(source)) ?? 0
    return mine > limits.connectionsPerSource ? reply('too-many-from-you', { address, limit: limits.connectionsPerSource, listener: name }) : undefined
  }

  #overRate(world: World, source: string): Reply | undefined {
    const policies = (indexOf(world.snapshot()).ofListener.get(this.listener.name) ?? []).map(({ policy }) => policy)
    const over = world.limits.count('connections', { source }, policies)
    return over && reply('connecting-too-fast', { manifest: over.manifest })
  }

  left(session: Session): void {
    if (!this.sessions.delete(session)) return
    this.#count(session.state.source, -1)
    this.door.world.metrics.openConnections.dec({ listener: this.listener.name })
    if (this.sessions.size === 0) for (const tell of this.#whenEmpty.splice(0)) tell()
  }

  /** Resolves when nobody is connected. */
  empty(): Promise<void> {
    return this.sessions.size === 0 ? Promise.resolve() : new Promise((resolve) => void this.#whenEmpty.push(resolve))
  }

  /** Ends every connection now, whatever it is doing. */
  cut(): void {
    for (const session of this.sessions) session._socket.destroy()
    for (const waiting of this._pendingSockets.values()) waiting.destroy()
  }

  #key(source: string): string {
    return `${this.listener.name} ${source}`
  }

  #count(source: string, step: 1 | -1): void {
    const key = this.#key(source)
    const count = (this.door.sources.get(key) ?? 0) + step
    if (count > 0) this.door.sources.set(key, count)
    else this.door.sources.delete(key)
  }

  /** Before its TLS handshake a connection is no session yet, and counts all the same: one source must not have all the places of those that come. */
  override _acceptSocket(socket: Socket, handshake: boolean): (() => void) | false {
    if (!handshake || this._expectsProxyHeader(socket) || !this.#waitsTooOften(sourceOf(socket.remoteAddress ?? ''))) return super._acceptSocket(socket, handshake)
    this.#countRefused()
    socket.on('error', () => {})
    socket.destroy()
    return false
  }

  #waitsTooOften(source: string): boolean {
    const { connectionsPerSource } = this.listener.limits
    if (this._pendingSockets.size < connectionsPerSource) return false
    return [...this._pendingSockets.keys()].filter((one) => (this.#behindProxy.get(one) ?? sourceOf(one.remoteAddress ?? '')) === source).length >= connectionsPerSource
  }

  override _expectsProxyHeader(socket: Socket): boolean {
    return anyHolds(prefixesIn(this.listener.proxyProtocol?.trustedCIDRs ?? []), socket.remoteAddress ?? '')
  }

  override _handleProxy(socket: Socket, callback: (error: Error | null, options: SocketOptions) => void): void {
    const options: SocketOptions = { id: sessionId() }
    if (!this._expectsProxyHeader(socket)) return callback(null, options)
    readProxy(socket, this.listener.limits.greetingSeconds * 1000).then(
      (client) => {
        if (this.#isOneTooMany(socket, client)) return void socket.destroy()
        callback(null, { ...options, ...client, trustedProxy: true })
      },
      (error: ProxyHeaderError) => {
        if (!error.wasSilent) this.#refuseProxy(error, socket)
        socket.destroy()
        callback(error, options)
      },
    )
  }

  /** Its TLS handshake is still ahead, as for those without a proxy. */
  #isOneTooMany(socket: Socket, { remoteAddress }: ProxiedClient): boolean {
    if (this.listener.protocol !== 'Submissions' || remoteAddress === undefined) return false
    const source = sourceOf(remoteAddress)
    const isTooMany = this.#waitsTooOften(source)
    if (isTooMany) this.#countRefused()
    else this.#behindProxy.set(socket, source)
    return isTooMany
  }

  #countRefused(): void {
    this.door.world.metrics.connections.inc({ listener: this.listener.name, result: 'refused' })
  }

  /** Else a balancer that sends no header, or another, would leave no trace. One that only looks whether the port is open does no harm. */
  #refuseProxy(error: Error, { remoteAddress }: Socket): void {
    this.#countRefused()
    this.#noteError(error, remoteAddress)
  }

  #noteError({ message }: Error, client: string | undefined): void {
    this.door.world.log.info('SESSION_ERROR', { listener: this.listener.name, client, error: message })
  }

  override onSecure(_socket: unknown, _session: unknown, callback: (error?: Error | null) => void): void {
    callback()
  }
}

let counter = 0
const sessionId = (): string => `${Date.now().toString(36)}${(counter = (counter + 1) % 46_656).toString(36).padStart(3, '0')}`
