// Kept connections, by everything that makes two of them interchangeable. Touches sockets only to let go of them.
import type { Settings } from './settings.ts'
import { closeSession, openSession, type Opened, type Opening, type Session, type Target } from './session.ts'

/** Of certificates and logins what they are, not their names: they change under these. And whom we said we were, which is judged too. */
const keyOf = ({ host, address, port, tls, implicitTls, clientCertificate, authority, credentials }: Target, hostname: string): string =>
  JSON.stringify([address, port, host, tls, implicitTls, clientCertificate?.certificate, authority?.name, authority?.certificate, credentials?.username, credentials?.password, hostname])

export class Pool {
  readonly #idle = new Map<string, Session[]>()
  readonly #open = new Set<Session>()
  #sweeper: NodeJS.Timeout | undefined
  readonly #lookMs: number

  /** How often idle connections are looked at, in ms. */
  constructor(lookMs: number) {
    this.#lookMs = lookMs
  }

  get size(): number {
    return this.#open.size
  }

  /** A kept connection, or a new one. `fresh`: not a kept one. */
  async take(target: Target, opening: Opening, fresh: boolean): Promise<Opened> {
    const kept = fresh ? undefined : this.#takeIdle(keyOf(target, opening.hostname))
    if (kept !== undefined) return { kind: 'open', session: kept }
    const opened = await openSession(target, opening)
    if (opened.kind === 'open') this.#open.add(opened.session)
    return opened
  }

  #takeIdle(key: string): Session | undefined {
    const sessions = this.#idle.get(key)
    for (let session = sessions?.pop(); session !== undefined; session = sessions?.pop()) {
      if (session.wire.broken === undefined && !session.wire.hasUnread) return session
      this.leave(session) // it said goodbye while nobody listened
    }
    return undefined
  }

  /** Back for the next message, unless it broke or has served enough. */
  give(session: Session, { messagesPerConnection, timeouts }: Pick<Settings, 'messagesPerConnection' | 'timeouts'>): void {
    if (session.wire.broken !== undefined || session.messages >= messagesPerConnection) return this.leave(session)
    session.idleUntil = performance.now() + timeouts.idle
    const key = keyOf(session.target, session.hostname)
    const sessions = this.#idle.get(key)
    if (sessions) sessions.push(session)
    else this.#idle.set(key, [session])
    this.#sweeper ??= setInterval(() => this.#sweep(), this.#lookMs).unref()
  }

  /** Not for another message. */
  leave(session: Session): void {
    this.#open.delete(session)
    closeSession(session)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [key, sessions] of this.#idle) {
      const kept = sessions.filter((session) => session.idleUntil > now && session.wire.broken === undefined)
      for (const session of sessions) if (!kept.includes(session)) this.leave(session)
      if (kept.length > 0) this.#idle.set(key, kept)
      else this.#idle.delete(key)
    }
    if (this.#idle.size > 0 || this.#sweeper === undefined) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  close(): void {
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    this.#idle.clear()
    for (const session of this.#open) this.leave(session)
  }
}
