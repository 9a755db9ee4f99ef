// What pods tell Prometheus, read through the API server.
import type { Kubectl } from './kubectl.ts'

/** Value by series, as it stands on the page: name{label="value",…}. Of all pods that wear the labels, one page after the other. */
export const metricsOf = async (kubectl: Kubectl, namespace: string, component: 'relay' | 'operator'): Promise<ReadonlyMap<string, number>[]> => {
  const port = component === 'relay' ? 9464 : 9465
  const names = (await kubectl('get', 'pods', '-n', namespace, '-l', `app.kubernetes.io/component=${component}`, '-o', 'jsonpath={.items[*].metadata.name}')).trim().split(' ')
  return Promise.all(names.map(async (name) => seriesIn(await kubectl('get', '--raw', `/api/v1/namespaces/${namespace}/pods/${name}:${port}/proxy/metrics`))))
}

const seriesIn = (page: string): ReadonlyMap<string, number> => new Map([...page.matchAll(/^(posthouse_\S+(?:\{.*\})?) (\S+)$/gm)].map(([, series, value]) => [series!, Number(value)]))

/** Sum over pages of what begins so. */
export const sumOf = (pages: readonly ReadonlyMap<string, number>[], begins: string): number => pages.flatMap((page) => [...page]).reduce((sum, [series, value]) => (series.startsWith(begins) ? sum + value : sum), 0)
