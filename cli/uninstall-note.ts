// `posthouse uninstall-note`: what stays and what would hang when the operator goes (the chart's hook before it is uninstalled).
import type { Command } from 'commander'
import { print } from './terminal.ts'

type Options = { readonly kubeconfig?: string; readonly watchNamespaces?: string }

export const uninstallNoteCommand = (program: Command): void => {
  program
    .command('uninstall-note')
    .description('which MailRelays stay when the operator goes, and how to end one that hangs')
    .option('--kubeconfig <file>', 'which cluster (default: KUBECONFIG, ~/.kube/config, or the pod\'s own account)')
    .option('--watch-namespaces <names>', 'only these, separated by commas (default: all)')
    .action(run)
}

/** Never fails: a note that cannot be written must not keep anybody from uninstalling. */
const run = async ({ kubeconfig, watchNamespaces }: Options): Promise<void> => {
  const { uninstallNote } = await import('../operator/uninstall-note.ts')
  const names = watchNamespaces?.split(',').filter((name) => name !== '')
  const note = uninstallNote({ ...(kubeconfig !== undefined && { kubeconfig }), ...(names && { watchNamespaces: names }) })
  print(await note.catch((error: unknown) => `which MailRelays stay could not be asked: ${(error as Error).message}`))
}
