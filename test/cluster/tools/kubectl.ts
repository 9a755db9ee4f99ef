// kubectl against one cluster: the real one that was built with it, or the one on PATH.
import { runChild } from '../../tools/child.ts'
import { NotBuilt, programPath } from './build.ts'

type Ran = { readonly code: number; readonly output: string; readonly stdout: string }

export type Kubectl = {
  /** What it printed on stdout; throws when it fails. */
  (...args: string[]): Promise<string>
  /** Its exit code and output, whatever they are. */
  may(...args: string[]): Promise<Ran>
  /** Server-side apply of objects. */
  apply(...objects: object[]): Promise<void>
  /** Server-side apply of YAML as it is in a file. */
  applyText(text: string, ...args: string[]): Promise<void>
  /** One object, or a list, as JSON. */
  json<T = Record<string, unknown>>(...args: string[]): Promise<T>
}

/** Longer than any --timeout that it is given: that one says what was waited for. */
const patienceMs = (args: readonly string[]): number => (args.some((arg) => arg.startsWith('--timeout=')) ? 600_000 : 120_000)

export const kubectlOf = (kubeconfig: string): Kubectl => {
  const run = (args: readonly string[], options: { input?: string; mayFail?: boolean } = {}): Promise<Ran> => runChild(program(), ['--kubeconfig', kubeconfig, ...args], { forMs: patienceMs(args), ...options })
  const applyText = async (text: string, ...args: string[]): Promise<void> => void (await run(['apply', '--server-side', '--filename=-', ...args], { input: text }))
  return Object.assign(async (...args: string[]) => (await run(args)).stdout, {
    may: (...args: string[]) => run(args, { mayFail: true }),
    apply: async (...objects: object[]) => applyText(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })),
    applyText,
    json: async <T>(...args: string[]) => JSON.parse((await run([...args, '--output=json'])).stdout) as T,
  })
}

/** For `kubectl wait`, with =True: every pod runs a snapshot with the policy. Programmed of its MailRelay may still be that of the snapshot before. */
export const enforced = '--for=jsonpath={.status.targets[0].conditions[?(@.type=="Enforced")].status}'

/** Where kubectl is, or the bare name of the one on PATH. */
export const program = (): string => {
  try {
    return programPath('kubectl')
  } catch (error) {
    if (error instanceof NotBuilt && process.env.POSTHOUSE_KUBECONFIG) return 'kubectl'
    throw error
  }
}
