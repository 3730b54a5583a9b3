/** `chorale id`: who this host is. Works without a running node, from the home. */
import { Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { formatEndpoint } from './values.ts'

export function idCommand(cli: Cli): Command {
  return new Command('id')
    .description("print this host's peer id, address and place in the ring")
    .option(
      '--banker',
      'print PEER=ADDRESS instead, for network create --banker; makes host key and wallet if this home has none',
    )
    .addHelpText(
      'after',
      examples(
        'chorale id',
        '',
        'chorale id -q',
        'the peer id alone',
        'chorale id --banker --home ./bank1',
        'before its first start: to be a first banker of a new network',
      ),
    )
    .action(
      cli.action(async ({ banker = false }: { banker?: boolean }) => {
        if (banker) return await printBanker(cli)
        const id = await identify(cli)
        const text = cli.flags.quiet
          ? id.peer
          : format.facts([
              ['peer', id.peer],
              ['address', id.address ?? (id.running ? 'none that others can dial' : 'not running')],
              ...id.nodes.map((node): [string, string] => ['overlay node', node]),
            ])
        cli.print('id', id, text)
        return 0
      }),
    )
}

async function printBanker(cli: Cli): Promise<number> {
  const { bankerFacts } = await import('../ledger-network.ts')
  const { peer, address, banker, wallet } = await bankerFacts(cli.flags.home, Date.now())
  cli.print('banker', { peer, address, banker, made: wallet.made }, banker)
  if (wallet.made)
    cli.note(`a new wallet, in ${wallet.file}: keep a copy of it with\n  chorale wallet backup FILE${cli.at}`)
  return 0
}

interface Identity {
  readonly peer: string
  readonly address: string | undefined
  readonly nodes: readonly string[]
  readonly running: boolean
}

async function identify(cli: Cli): Promise<Identity> {
  try {
    const { peer, address, ring } = await (await cli.connect()).status({ signal: cli.signal })
    return { peer, address: address && formatEndpoint(address), nodes: ring.nodes.map(({ id }) => id), running: true }
  } catch (error) {
    if (!(error instanceof ChoraleError) || error.code !== 'no-node' || cli.flags.api) throw error
    const { knownPeer } = await import('../ledger-network.ts')
    const peer = knownPeer(cli.flags.home)
    if (peer) return { peer, address: undefined, nodes: [], running: false }
    throw new ChoraleError('no-node', `no node has run in ${cli.flags.home} yet: start one with chorale up -d`)
  }
}
