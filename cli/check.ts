// `posthouse check`: every mistake in a folder of manifests, and whether they fit each other. Reads only, makes nothing.
import type { Command } from 'commander'
import { printProblem, type Problem } from '../operator/index.ts'
import { revisionOf } from '../relay/snapshot/index.ts'
import { compile, type Compiled } from './compile-manifests.ts'
import { print, printJson, styled } from './terminal.ts'

export const checkCommand = (program: Command): void => {
  program
    .command('check')
    .description('check a folder of manifests: every mistake, and whether they fit each other (exit code 0 fine, 1 mistakes, 2 nothing to read)')
    .requiredOption('-f, --file <dir>', 'folder with the manifests, or one file; - reads standard input, such as what helm template prints')
    .option('--json', 'the answer as JSON')
    .action(run)
}

const run = async ({ file, json }: { readonly file: string; readonly json?: boolean }): Promise<void> => {
  const compiled = await compile({ manifests: file, now: new Date() })
  process.exitCode = exitCodeOf(compiled.problems)
  if (json) printJson(reportOf(compiled))
  else for (const line of linesOf(compiled)) print(line)
}

export const exitCodeOf = (problems: readonly Problem[]): 0 | 1 | 2 => {
  if (problems.some(({ code }) => code === 'FOLDER_UNREADABLE' || code === 'NO_MANIFESTS')) return 2
  return problems.some(({ level }) => level === 'error') ? 1 : 0
}

const reportOf = ({ problems, conditions, snapshots }: Compiled): object => ({
  ok: exitCodeOf(problems) === 0,
  problems,
  conditions,
  relays: [...snapshots].map(([name, snapshot]) => ({
    name,
    revision: revisionOf(snapshot),
    listeners: snapshot.listeners.map((listener) => ({ name: listener.name, protocol: listener.protocol, port: listener.port, bindPort: listener.bindPort })),
    domains: snapshot.domains.map(({ domain, manifest }) => ({ domain, manifest })),
    senders: snapshot.senders.map(({ manifest, from, listeners }) => ({ manifest, from, listeners })),
    policies: snapshot.policies.map(({ manifest }) => manifest),
    routes: snapshot.routes.map(({ manifest }) => manifest),
  })),
})

const linesOf = ({ problems, snapshots }: Compiled): string[] => [
  ...problems.map((problem) => styled(problem.level === 'error' ? 'red' : 'yellow', printProblem(problem))),
  ...[...snapshots.values()].map((snapshot) => {
    const { listeners, domains, senders, policies, routes } = snapshot
    const parts = [counted(listeners, 'listener'), counted(domains, 'domain'), counted(senders, 'sender'), counted(policies, 'policy', 'policies'), counted(routes, 'route')]
    return `${snapshot.relay.manifest}: ${parts.join(', ')}`
  }),
  verdictOf(problems),
]

const counted = ({ length }: readonly unknown[], one: string, many = `${one}s`): string => `${length} ${length === 1 ? one : many}`

const verdictOf = (problems: readonly Problem[]): string => {
  const errors = problems.filter(({ level }) => level === 'error')
  const warnings = problems.filter(({ level }) => level === 'warning')
  const noted = warnings.length === 0 ? '' : `, ${counted(warnings, 'warning')}`
  return errors.length === 0 ? styled('green', `no mistakes${noted}`) : styled('red', `${counted(errors, 'mistake')}${noted}`)
}
