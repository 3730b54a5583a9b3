/** `chorale id`: who this host is. Works without a running node, from the home. */
import { Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import { inspectHome } from '../home.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { formatEndpoint } from './values.ts'

export function idCommand(cli: Cli): Command {
  return new Command('id')
    .description("print this host's peer id, address and place in the ring")
    .addHelpText('after', examples('chorale id', '', 'chorale id -q', 'the peer id alone'))
    .action(
      cli.action(async () => {
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
    const peer = inspectHome(cli.flags.home)?.peer
    if (peer) return { peer, address: undefined, nodes: [], running: false }
    throw new ChoraleError('no-node', `no node has run in ${cli.flags.home} yet: start one with chorale up -d`)
  }
}
