// What a request asks for, in the API's own words: a verb and a resource, few enough to be labels of a metric. Pure.
import type { Call } from './request.ts'

export type RequestTitle = { readonly verb: string; readonly resource: string }

const parts = /^\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/[^/]+)?\/([^/]+)(?:\/([^/]+)(?:\/([^/]+))?)?$/

export const requestTitle = ({ method = 'GET', path, query }: Call): RequestTitle => {
  const [, resource, name, subresource] = parts.exec(path) ?? []
  if (resource === undefined) return { verb: method.toLowerCase(), resource: 'other' }
  return { verb: method === 'GET' ? readVerb(name, query?.watch === true) : verbs[method], resource: subresource === undefined ? resource : `${resource}/${subresource}` }
}

const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const

const readVerb = (name: string | undefined, watch: boolean): string => (watch ? 'watch' : name === undefined ? 'list' : 'get')
