// An API server small enough to be made to misbehave: lists in pages, watches with bookmarks, versions, conflicts; and faults where a test asks for them.
// What it does well is tested against a real one too (test/cluster).
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { createKube, type Kube, type KubeObject } from '../../operator/kube/index.ts'

/** What to do to a request instead of answering it; undefined: answer it. */
/** `lost`: it is done, and nobody hears of it. `first`: it is answered after that. */
export type Fault = { readonly status: number; readonly retryAfter?: number; readonly afterMs?: number } | { readonly first: () => unknown } | 'lost' | 'reset' | 'hang' | 'half' | 'no json' | undefined

export type FakeKube = {
  readonly url: URL
  /** Method and path with query of each request, in order. */
  readonly requests: string[]
  fault: (request: { readonly method: string; readonly path: string; readonly query: URLSearchParams; readonly count: number }) => Fault
  /** What a watch that shall begin with all there is gets: it, and the mark that ends it; a refusal, as from a server that has none; it without the mark. */
  beginnings: 'marked' | 'refused' | 'unmarked'
  put(path: string, object: KubeObject): void
  remove(path: string, name: string): void
  objects(path: string): KubeObject[]
  /** Ends every watch: at once, in the middle of a line, or with an ERROR event. */
  endWatches(how: 'end' | 'half' | 'reset' | { readonly error: number }): void
  /** Watches stay open and say nothing more. */
  mute(): void
  /** Watches of this collection say what happens from now on only when the function that is returned is called. */
  hold(path: string): () => void
  bookmark(): void
  /** Versions up to now are forgotten: who watches from one of them gets 410. */
  compact(): void
  watches(): number
  /** Remembers all there is; to be called when a backup is put in its place: versions go back too. Watches stay, and say nothing of versions that they are past. */
  backup(): () => void
  close(): Promise<void>
}

type Watch = { readonly path: string; readonly answer: ServerResponse; readonly since: number; muted: boolean }
type Event = { readonly version: number; readonly path: string; readonly type: string; readonly object: KubeObject }

/** One that ends with the test, and the way to it; no chance in its pauses. */
export const withFakeKube = async (t: TestContext): Promise<{ server: FakeKube; kube: Kube }> => {
  const server = await startFakeKube()
  t.after(() => server.close())
  return { server, kube: createKube({ server: server.url, prepare: () => Promise.resolve({ headers: {} }) }, { random: () => 0 }) }
}

export const startFakeKube = async (): Promise<FakeKube> => {
  const state = { version: 100, oldest: 0, store: new Map<string, KubeObject>(), log: [] as Event[], watches: new Set<Watch>(), requests: [] as string[], held: new Map<string, Event[]>() }
  const fake: Pick<FakeKube, 'fault' | 'beginnings'> = { fault: () => undefined, beginnings: 'marked' }
  const keyOf = (path: string, name: string): string => `${path}/${name}`
  const inside = (path: string): KubeObject[] => [...state.store].filter(([key]) => key.startsWith(`${path}/`)).map(([, object]) => object)
  const record = (path: string, type: string, object: KubeObject): void => {
    const event = { version: state.version, path, type, object }
    state.log.push(event)
    const held = state.held.get(path)
    if (held) held.push(event)
    else tell(event)
  }
  const tell = (event: Event): void => {
    for (const watch of state.watches) if (watch.path === event.path && event.version > watch.since && !watch.muted) watch.answer.write(lineOf(event))
  }
  const save = (path: string, object: KubeObject): KubeObject => {
    const before = state.store.get(keyOf(path, object.metadata.name))
    state.version += 1
    const saved = { ...object, metadata: { uid: `uid-${state.version}`, ...before?.metadata, ...object.metadata, resourceVersion: String(state.version) } }
    state.store.set(keyOf(path, object.metadata.name), saved)
    record(path, before ? 'MODIFIED' : 'ADDED', saved)
    return saved
  }
  const drop = (path: string, name: string): boolean => {
    const before = state.store.get(keyOf(path, name))
    if (!before) return false
    state.version += 1
    state.store.delete(keyOf(path, name))
    record(path, 'DELETED', { ...before, metadata: { ...before.metadata, resourceVersion: String(state.version) } })
    return true
  }

  const list = (path: string, query: URLSearchParams): object => {
    const all = inside(path).toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name))
    const limit = Number(query.get('limit') ?? all.length)
    const from = Number(query.get('continue') ?? 0)
    const more = from + limit < all.length
    return { kind: 'List', metadata: { resourceVersion: String(state.version), ...(more && { continue: String(from + limit) }) }, items: all.slice(from, from + limit) }
  }
  const watch = (path: string, query: URLSearchParams, answer: ServerResponse): void => {
    const whole = query.get('sendInitialEvents') === 'true'
    const since = whole ? state.version : Number(query.get('resourceVersion'))
    if (since < state.oldest) return say(answer, 410, statusOf(410, 'Expired'))
    if (whole && fake.beginnings === 'refused') return say(answer, 422, statusOf(422, 'Invalid'))
    answer.writeHead(200, { 'content-type': 'application/json' })
    answer.flushHeaders()
    if (whole) for (const object of inside(path)) answer.write(lineOf({ type: 'ADDED', object }))
    if (whole && fake.beginnings === 'marked') answer.write(bookmarkOf(state.version, { 'k8s.io/initial-events-end': 'true' }))
    const held = new Set(state.held.get(path))
    for (const event of state.log) if (event.path === path && event.version > since && !held.has(event)) answer.write(lineOf(event))
    const own: Watch = { path, answer, since, muted: false }
    state.watches.add(own)
    answer.once('close', () => state.watches.delete(own))
  }
  const change = async (request: IncomingMessage, path: string, answer: ServerResponse): Promise<void> => {
    const body = await bodyOf(request)
    const isStatus = path.endsWith('/status')
    const own = isStatus ? path.slice(0, -'/status'.length) : path
    const [collection, name] = request.method === 'POST' ? [path, body.metadata.name] : [own.slice(0, own.lastIndexOf('/')), own.slice(own.lastIndexOf('/') + 1)]
    const before = state.store.get(keyOf(collection, name))
    if (request.method === 'POST' && before) return say(answer, 409, statusOf(409, 'AlreadyExists'))
    const refusal = refusalOf(request, body, before)
    if (refusal !== undefined) return say(answer, ...refusal)
    if (request.method === 'DELETE') return remove(collection, before!, answer)
    const saved = save(collection, request.method === 'PATCH' ? { ...before, ...body, metadata: { ...before?.metadata, ...body.metadata } } : body)
    const { deletionTimestamp, finalizers = [] } = saved.metadata
    if (deletionTimestamp !== undefined && finalizers.length === 0) drop(collection, saved.metadata.name)
    say(answer, before ? 200 : 201, saved)
  }
  /** Who has finalizers only begins to go. */
  const remove = (collection: string, { metadata, ...rest }: KubeObject, answer: ServerResponse): void => {
    if ((metadata.finalizers ?? []).length === 0) drop(collection, metadata.name)
    else if (metadata.deletionTimestamp === undefined) save(collection, { ...rest, metadata: { ...metadata, deletionTimestamp: new Date().toISOString() } })
    say(answer, 200, {})
  }
  const server = createServer((request, answer) => {
    const { pathname: path, searchParams: query } = new URL(request.url!, 'http://fake')
    state.requests.push(`${request.method!} ${request.url!}`)
    const fault = fake.fault({ method: request.method!, path, query, count: state.requests.length })
    if (fault === 'lost') return void change(request, path, deaf(answer))
    if (typeof fault === 'object' && 'first' in fault) return void Promise.resolve(fault.first()).then(() => respond(request, path, query, answer))
    if (fault !== undefined) return spoil(fault, answer)
    respond(request, path, query, answer)
  })
  const respond = (request: IncomingMessage, path: string, query: URLSearchParams, answer: ServerResponse): void => {
    if (request.method !== 'GET') return void change(request, path, answer)
    if (query.get('watch') === 'true') return watch(path, query, answer)
    const one = state.store.get(path)
    if (one) return say(answer, 200, one)
    return inside(path).length === 0 && query.get('limit') === null ? say(answer, 404, statusOf(404, 'NotFound')) : say(answer, 200, list(path, query))
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return Object.assign(fake, {
    url: new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}`),
    requests: state.requests,
    put: (path: string, object: KubeObject) => void save(path, object),
    remove: (path: string, name: string) => void drop(path, name),
    objects: inside,
    endWatches: (how: Parameters<FakeKube['endWatches']>[0]) => {
      const open = [...state.watches]
      state.watches.clear()
      for (const { answer } of open) {
        if (how === 'reset') answer.destroy()
        else if (how === 'half') answer.end('{"type":"ADDED","object":{"metadata":{"name":"ha')
        else if (how === 'end') answer.end()
        else answer.end(`${JSON.stringify({ type: 'ERROR', object: { ...statusOf(how.error, how.error === 410 ? 'Expired' : 'InternalError'), metadata: {} } })}\n`)
      }
    },
    mute: () => {
      for (const one of state.watches) one.muted = true
    },
    hold: (path: string) => {
      state.held.set(path, [])
      return () => {
        const events = state.held.get(path) ?? []
        state.held.delete(path)
        for (const event of events) tell(event)
      }
    },
    bookmark: () => {
      for (const { answer, since } of state.watches) if (state.version >= since) answer.write(bookmarkOf(state.version))
    },
    compact: () => void (state.oldest = state.version + 1, state.version += 1),
    watches: () => state.watches.size,
    backup: () => {
      const { version, store, log } = { ...state, store: new Map(state.store), log: [...state.log] }
      return () => void Object.assign(state, { version, store: new Map(store), log: [...log] })
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

const bookmarkOf = (version: number, annotations?: Record<string, string>): string => lineOf({ type: 'BOOKMARK', object: { metadata: { name: '', resourceVersion: String(version), ...(annotations && { annotations }) } } })
const lineOf = ({ type, object }: Pick<Event, 'type' | 'object'>): string => `${JSON.stringify({ type, object })}\n`
const statusOf = (code: number, reason: string): object => ({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: `made to say ${reason}` })

const say = (answer: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void => void answer.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

/** What a real server says no to, as measured: a version or uid that is another, and a uid of what is not there; by a version alone server-side apply makes what is not there. */
const refusalOf = ({ method, headers, url }: IncomingMessage, body: KubeObject, before: KubeObject | undefined): [status: number, body: object] | undefined => {
  const { preconditions } = body as { preconditions?: { readonly uid?: string; readonly resourceVersion?: string } }
  const { uid, resourceVersion } = body.metadata ?? {}
  const isApply = headers['content-type'] === 'application/apply-patch+yaml'
  const isStatus = new URL(url!, 'http://fake').pathname.endsWith('/status')
  if (method === 'POST' || (method === 'PUT' && before === undefined && resourceVersion === undefined)) return undefined
  if (before === undefined && !(isApply && !isStatus && uid === undefined)) return (isApply && !isStatus) || method === 'PUT' ? [409, statusOf(409, 'Conflict')] : [404, statusOf(404, 'NotFound')]
  if (before === undefined) return undefined
  const isOther = [uid, preconditions?.uid].some((one) => one !== undefined && one !== before.metadata.uid)
  const isOld = (method === 'PUT' || (resourceVersion !== undefined && resourceVersion !== '0')) && method !== 'DELETE' && resourceVersion !== before.metadata.resourceVersion
  const isOldToDelete = preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== before.metadata.resourceVersion
  return isOther || isOld || isOldToDelete ? [409, statusOf(409, 'Conflict')] : undefined
}

/** Takes an answer and says nothing. */
const deaf = (answer: ServerResponse): ServerResponse => Object.assign(Object.create(answer) as ServerResponse, { writeHead: () => ({ end: () => answer.destroy() }) })

const spoil = (fault: Exclude<Fault, undefined | 'lost' | { readonly first: unknown }>, answer: ServerResponse): void => {
  if (fault === 'hang') return
  if (fault === 'reset') return void answer.destroy()
  if (fault === 'no json') return void answer.writeHead(200).end('<html>a proxy</html>')
  if (fault === 'half') {
    answer.writeHead(200, { 'content-length': '1000' }).write('{"items":[')
    return void setTimeout(() => answer.destroy(), 20)
  }
  const { status, retryAfter, afterMs = 0 } = fault
  setTimeout(() => say(answer, status, statusOf(status, ''), retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }), afterMs)
}

const bodyOf = async (request: IncomingMessage): Promise<KubeObject> => {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return pieces.length === 0 ? { metadata: { name: '' } } : (JSON.parse(Buffer.concat(pieces).toString()) as KubeObject)
}
