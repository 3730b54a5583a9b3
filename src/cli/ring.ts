/** `chorale ring show`: the node's view of its neighbourhood. */
import { Command } from 'commander'
import type { PeerPlace, RingView } from '../node.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function ringCommand(cli: Cli): Command {
  const show = new Command('show')
    .description("show the node's predecessor and successors")
    .addHelpText('after', examples('chorale ring show', '', 'chorale ring show --json', 'ids in full'))
    .action(
      cli.action(async () => {
        const { ring } = await (await cli.connect()).status({ signal: cli.signal })
        if (ring.nodes.length === 0) cli.note('this host is a leaf: it has no place in the ring')
        const row = (name: string, place: PeerPlace | undefined) =>
          place ? [name, place.id.slice(0, 12), place.address, format.shortPeer(place.peer)] : [name, '-', '-', '-']
        const text = ring.nodes.map((node) =>
          format.columns([
            [
              `node ${node.slot}`,
              node.id.slice(0, 12),
              `${ring.mode}, ${sizeOf(ring.mode, node.sizeEstimate)}, ${node.fingers} fingers`,
            ],
            row('  predecessor', node.predecessor),
            ...node.successors.map((place, i) => row(`  successor ${i + 1}`, place)),
          ]),
        )
        cli.print('ring', ring, text.join('\n'))
        return 0
      }),
    )
  return new Command('ring')
    .description('the overlay around this node: show')
    .addHelpText('after', examples('chorale ring show', ''))
    .addCommand(show)
}

/** A young ring knows all its members; a grown one estimates. */
function sizeOf(mode: RingView['mode'], estimate: number): string {
  const nodes = Math.round(estimate)
  return `${mode === 'young' ? '' : 'about '}${nodes} ${nodes === 1 ? 'node' : 'nodes'}`
}
