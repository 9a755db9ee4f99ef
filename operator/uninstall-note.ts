// What a person should know who takes the operator away: which MailRelays stay, and how one is deleted without it. Reads MailRelays only.
import { createKube, openAccess, pathOf, type KubeObject } from './kube/index.ts'
import { queueFinalizer } from './leaving.ts'
import { ourKinds } from './watched.ts'

export type UninstallNoteOptions = { readonly kubeconfig?: string; readonly watchNamespaces?: readonly string[] }

export const uninstallNote = async ({ kubeconfig, watchNamespaces }: UninstallNoteOptions): Promise<string> => {
  const kube = createKube(await openAccess(kubeconfig))
  const resource = ourKinds.find(({ kind }) => kind === 'MailRelay')!
  const lists = await Promise.all((watchNamespaces ?? [undefined]).map((namespace) => kube.call<{ readonly items: readonly KubeObject[] }>({ path: pathOf(resource, { namespace }) })))
  return noteOn(lists.flatMap(({ items }) => items))
}

export const noteOn = (relays: readonly KubeObject[]): string => {
  if (relays.length === 0) return 'No MailRelay is left behind. The CRDs stay: kubectl get crd -o name | grep posthouse.dev'
  const holding = relays.filter(({ metadata }) => metadata.finalizers?.includes(queueFinalizer))
  return [
    'These MailRelays stay, with their pods and queues, and go on taking and delivering mail; without an operator they follow no change of a manifest:',
    ...relays.map(({ metadata }) => `  MailRelay ${metadata.namespace}/${metadata.name}${metadata.deletionTimestamp === undefined ? '' : ', which is being deleted and waits for the mail in its queue'}`),
    'Installed again, Posthouse goes on with them. Deleted while no operator is there, they hang, for nobody looks whether their queue is empty (and so does the deletion of their namespace or of the CRDs). Delete them first, or end it by hand, which gives up the mail in the queue:',
    ...holding.map(({ metadata }) => `  kubectl patch mailrelay ${metadata.name} -n ${metadata.namespace} --type=merge -p '{"metadata":{"finalizers":null}}'`),
  ].join('\n')
}
