// The CLI: one file per subcommand; wiring only.
import { Command, CommanderError } from 'commander'
import packageJson from '../package.json' with { type: 'json' }
import { Failure } from './failure.ts'
import { queueCommand } from './queue.ts'
import { relayCommand } from './relay.ts'
import { standaloneCommand } from './standalone.ts'
import { talkCommand } from './talk.ts'
import { complain, styled } from './terminal.ts'
import { traceCommand, whyCommand } from './trace.ts'

const program = new Command('posthouse')
  .description('A clustered mail relay: declared as manifests, one durable queue that no pod owns.')
  .version(packageJson.version)
  .showHelpAfterError('(posthouse --help lists the commands)')
  .exitOverride()

for (const register of [standaloneCommand, relayCommand, queueCommand, whyCommand, traceCommand, talkCommand]) register(program)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (error instanceof Failure) {
    complain(styled('red', error.message, process.stderr))
    process.exitCode = error.exitCode
  } else throw error
}
