/** `chorale ring show`: the node's view of its neighbourhood. */
import { Command } from 'commander'
import type { ChordView, PeerPlace, RingView, VoronoiView } from '../node.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function ringCommand(cli: Cli): Command {
  const show = new Command('show')
    .description(
      "show the node's predecessor and successors, or its point and short peers in another space than the ring",
    )
    .addHelpText('after', examples('chorale ring show', '', 'chorale ring show --json', 'ids in full'))
    .action(
      cli.action(async () => {
        const { ring } = await (await cli.connect()).status({ signal: cli.signal })
        if (ring.nodes.length === 0) cli.note('this host is a leaf: it has no place in the overlay')
        cli.print('ring', ring, ring.overlay === 'chord' ? chordText(ring) : voronoiText(ring))
        return 0
      }),
    )
  return new Command('ring')
    .description('the overlay around this node: show')
    .addHelpText('after', examples('chorale ring show', ''))
    .addCommand(show)
}

function row(name: string, place: PeerPlace | undefined): string[] {
  return place ? [name, place.id.slice(0, 12), place.address, format.shortPeer(place.peer)] : [name, '-', '-', '-']
}

function chordText(ring: ChordView): string {
  const text = ring.nodes.map((node) =>
    format.columns([
      [`node ${node.slot}`, node.id.slice(0, 12), `${ring.mode}, ${sizeOf(ring)}, ${node.fingers} fingers`],
      row('  predecessor', node.predecessor),
      ...node.successors.map((place, i) => row(`  successor ${i + 1}`, place)),
    ]),
  )
  return text.join('\n')
}

function voronoiText(ring: VoronoiView): string {
  const text = ring.nodes.map((node) =>
    format.columns([
      [`node ${node.slot}`, node.id.slice(0, 12), `${ring.space}, ${sizeOf(ring)}, ${node.long} long peers`],
      ['  point', '', node.point.map((at) => at.toFixed(4)).join(' ')],
      ...node.short.map((place, i) => row(`  short peer ${i + 1}`, place)),
    ]),
  )
  return text.join('\n')
}

/** How many members the first node of a host counts, or estimates. */
export function sizeOf(ring: RingView): string {
  const [node] = ring.nodes
  const nodes = Math.round(node?.sizeEstimate ?? 0)
  const isExact = ring.overlay === 'chord' ? ring.mode === 'young' : ring.nodes[0]?.knowsAll
  return `${isExact ? '' : 'about '}${format.some(nodes, 'node')}`
}
