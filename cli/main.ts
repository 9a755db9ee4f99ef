// The CLI: one file per subcommand, loaded when it is the one asked for (all of them only for help). Wiring only.
import { Command, CommanderError } from 'commander' // the parser of options that most Node CLIs use, MIT
import packageJson from '../package.json' with { type: 'json' }
import { Failure } from './failure.ts'
import { complain, outliveReaders, print, styled } from './terminal.ts'

type Register = (program: Command) => void

const commands: Readonly<Record<string, () => Promise<Register>>> = {
  standalone: async () => (await import('./standalone.ts')).standaloneCommand,
  relay: async () => (await import('./relay.ts')).relayCommand,
  operator: async () => (await import('./operator.ts')).operatorCommand,
  'uninstall-note': async () => (await import('./uninstall-note.ts')).uninstallNoteCommand,
  check: async () => (await import('./check.ts')).checkCommand,
  'can-send': async () => (await import('./can-send.ts')).canSendCommand,
  schedule: async () => (await import('./schedule.ts')).scheduleCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  queue: async () => (await import('./queue.ts')).queueCommand,
  why: async () => (await import('./trace.ts')).whyCommand,
  trace: async () => (await import('./trace.ts')).traceCommand,
  send: async () => (await import('./send.ts')).sendCommand,
  talk: async () => (await import('./talk.ts')).talkCommand,
  probe: async () => (await import('./probe.ts')).probeCommand,
  sink: async () => (await import('./sink.ts')).sinkCommand,
}

const program = new Command('posthouse')
  .description('A clustered mail relay: declared as manifests, one durable queue that no pod owns.')
  .version(packageJson.version)
  .exitOverride()

const asked = process.argv[2] ?? ''
const wanted = Object.hasOwn(commands, asked) ? [commands[asked]!] : Object.values(commands)
for (const load of wanted) (await load())(program)
if (wanted.length > 1) program.command('version').description('the version number').action(() => print(packageJson.version))
pointToHelp(program)
outliveReaders()

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (error instanceof Failure) {
    complain(styled('red', error.message, process.stderr))
    process.exitCode = error.exitCode
  } else throw error
}

/** After a mistake in its words each command names its own help. */
function pointToHelp(command: Command, above = ''): void {
  const name = `${above}${command.name()}`
  command.showHelpAfterError(`(${name} --help ${command.commands.length > 0 ? 'lists the commands' : 'says what it takes'})`)
  for (const one of command.commands) pointToHelp(one, `${name} `)
}
