/** The tree of commands: who they are, global flags, help, and what becomes of errors. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { ChoraleError, errorCode } from '../core/errors.ts'
import { addCommand } from './add.ts'
import { blockCommand } from './block.ts'
import { catCommand } from './cat.ts'
import { CLOSED_PIPE, Cli, type Terminal } from './cli.ts'
import { applyConfig } from './config.ts'
import { demoCommand } from './demo.ts'
import { doctorCommand } from './doctor.ts'
import { downCommand } from './down.ts'
import { EXIT, exitCodeOf } from './exit.ts'
import { exportCommand } from './export.ts'
import { getCommand } from './get.ts'
import { examples } from './help.ts'
import { idCommand } from './id.ts'
import { importCommand } from './import.ts'
import { jobCommand } from './job/job.ts'
import { ledgerCommand } from './ledger.ts'
import { lendCommand } from './lend.ts'
import { lsCommand } from './ls.ts'
import { marketCommand } from './market.ts'
import { networkCommand } from './network.ts'
import { peerCommand } from './peer.ts'
import { pinCommand } from './pin.ts'
import { receiptCommand } from './receipt.ts'
import { recordCommand } from './record.ts'
import { ringCommand } from './ring.ts'
import { statusCommand } from './status.ts'
import { storeCommand } from './store.ts'
import { sybilCommand } from './sybil.ts'
import { unpinCommand } from './unpin.ts'
import { upCommand } from './up.ts'
import { walletCommand } from './wallet.ts'

/** Runs one command line and returns the exit code. Never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const cli = new Cli(terminal)
  try {
    cli.useFlags({ json: args.includes('--json') }) // so that what goes wrong before they are read is told in form
    const program = createProgram(cli)
    if (args.length === 0) {
      program.outputHelp()
      return EXIT.ok
    }
    await program.parseAsync(args, { from: 'user' })
    return cli.exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help has been shown, and the code says whether it was asked for.
      if (error.code.startsWith('commander.help') || error.code === 'commander.version') {
        return error.exitCode === 0 ? EXIT.ok : EXIT.usage
      }
      cli.fail(new ChoraleError('usage', usageMessage(error.message)))
      return EXIT.usage
    }
    if (error === CLOSED_PIPE || terminal.signal.reason === CLOSED_PIPE) return EXIT.ok
    cli.fail(error)
    return exitCodeOf(errorCode(error))
  }
}

/** commander's message as one line with a remedy. */
function usageMessage(message: string): string {
  const [first = '', hint] = message.replace(/^error: /, '').split('\n')
  const what = first.replace(/\.$/, '')
  const suggestion = hint && /^\(Did you mean (.*)\?\)$/.exec(hint)
  return suggestion ? `${what}: did you mean ${suggestion[1]}?` : `${what}: add --help to see what there is`
}

function createProgram(cli: Cli): Command {
  const { out, err, width } = cli.terminal
  const program = new Command('chorale')
  program
    .description('A peer-to-peer compute overlay: a ring of nodes that run jobs and keep files for each other.')
    .version(version(), '-V, --version', 'print the version')
    .option('--json', 'print JSON: one object, or one per line; amounts in millicredits, as strings')
    .option('-q, --quiet', 'data only: no progress, no hints')
    .option('-v, --verbose', 'log more; twice for everything', (_, before: number) => before + 1, 0)
    .option('--no-color', 'no colours (also: NO_COLOR)')
    .option('--no-input', 'never ask; fail instead')
    .option('--home <dir>', 'directory of the node (also: CHORALE_HOME)')
    .option('--api <socket>', 'control socket of the node (also: CHORALE_API)')
    .hook('preAction', (_, command) => {
      const paths = applyConfig(program, command, cli.terminal.variables)
      cli.useFlags({ ...paths, ...command.optsWithGlobals() })
    })
    .addHelpText(
      'after',
      examples('chorale demo', 'four nodes compute pi on this machine', 'chorale up -d', 'start a node') +
        '\n\nExit codes: 0 ok, 1 internal, 2 usage, 3 no node, 4 not allowed, 5 job failed, 6 not placed, 7 credits, 8 wait timed out, 9 results differ, a supplier cheated, or a receipt is bad, 10 a good receipt of a refusal, 130 interrupted',
    )
  const commands = [
    demoCommand,
    upCommand,
    downCommand,
    statusCommand,
    idCommand,
    doctorCommand,
    lendCommand,
    jobCommand,
    marketCommand,
    addCommand,
    catCommand,
    getCommand,
    lsCommand,
    pinCommand,
    unpinCommand,
    exportCommand,
    importCommand,
    blockCommand,
    recordCommand,
    storeCommand,
    peerCommand,
    ringCommand,
    walletCommand,
    receiptCommand,
    ledgerCommand,
    networkCommand,
    sybilCommand,
  ]
  for (const create of commands) program.addCommand(create(cli))
  program.helpCommand('help [command]', 'show help for a command')
  const configure = (command: Command) => {
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .configureHelp({ showGlobalOptions: command !== program, helpWidth: Math.min(width(), 100) })
      .configureOutput({ writeOut: out, writeErr: err, outputError: () => {} })
    command.commands.forEach(configure)
  }
  configure(program)
  return program
}

function version(): string {
  // From src/cli/program.ts, or from dist/src/cli/program.js of the package.
  const up = import.meta.url.endsWith('.ts') ? '../..' : '../../..'
  const text = readFileSync(new URL(`${up}/package.json`, import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
