// `posthouse standalone`: manifests in, a real nats-server and one relay out, no cluster.
import type { Command } from 'commander'
import { listenOption } from './listen-option.ts'
import type { StandaloneOptions } from './standalone/run.ts'

export const standaloneCommand = (program: Command): void => {
  program
    .command('standalone')
    .description('run a relay without a cluster, from a folder of manifests')
    .requiredOption('-f, --file <dir>', 'folder with the manifests')
    .option('--relay <namespace/name>', 'which MailRelay, where the folder has several')
    .option('--data <dir>', 'where queue, keys and logs are kept', '.posthouse')
    .option('--host <address>', 'address to listen on; ::, every one', '127.0.0.1')
    .addOption(listenOption('where one listener opens; repeatable'))
    .option('--http <host:port>', 'metrics and health', '127.0.0.1:9464')
    .option('--sink <host:port>', 'also run a receiving server there that prints what arrives')
    .option('--nats-server <path>', 'a nats-server 2.15 or newer (default: on PATH, in the cache, or fetched once)')
    .option('--log <file>', 'JSON log; - for standard output (default: relay.log in the data folder)')
    .option('--test-mx-port <port>', 'for tests on one machine: MX hosts answer on this port and may be loopback')
    .action(async (options: StandaloneOptions) => (await import('./standalone/run.ts')).runStandalone(options)) // loaded when wanted: other commands start faster
}
