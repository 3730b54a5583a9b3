/** `chorale status`: the node of this home at a glance. */
import { Command } from 'commander'
import type { HostStatus, RingView } from '../node.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { sizeOf } from './ring.ts'
import { sandboxLine } from './sandbox.ts'
import { formatEndpoint } from './values.ts'

export function statusCommand(cli: Cli): Command {
  return new Command('status')
    .description('show how the running node is: address, ring, jobs, memory')
    .addHelpText('after', examples('chorale status', '', 'chorale status --json', 'for programs'))
    .action(
      cli.action(async () => {
        const host = await cli.connect()
        const status = await host.status({ signal: cli.signal })
        cli.print('status', status, describe(cli, status))
        return 0
      }),
    )
}

/** What the store holds, in one line. */
function keeps(cli: Cli, role: HostStatus['role'], store: HostStatus['store']): string {
  const { blocks, bytes, capacityBytes, full, pins } = store
  const pinned = format.some(pins, 'pin')
  if (capacityBytes === 0) return `no blocks${role === 'leaf' ? ', as a leaf' : ': --store is 0'}; ${pinned}`
  const state = full ? `, ${cli.paint('red', 'full')}` : ''
  return `${format.some(blocks, 'block')}, ${format.bytes(bytes)} of ${format.bytes(capacityBytes)}${state}; ${pinned}`
}

/** Of the network's books, in one line. */
function ledgerLine(cli: Cli, { height, epoch, seats, seated, halted }: HostStatus['ledger']): string {
  const place = `block ${format.count(height)}, epoch ${format.count(epoch)}, committee of ${seats}`
  const line = `${place}${seated ? ', of which this node is one' : ''}`
  return halted === null ? line : `${line}; ${cli.paint('red', `stands still: ${format.plain(halted)}`)}`
}

/** Undefined for a leaf. */
function neighbourhood(ring: RingView): string | undefined {
  if (ring.overlay === 'chord') {
    const [node] = ring.nodes
    return node && `${ring.mode}, ${sizeOf(ring)}; successor ${node.successors[0]?.address ?? 'none'}`
  }
  const [node] = ring.nodes
  return node && `${ring.space}, ${sizeOf(ring)}; nearest ${node.short[0]?.address ?? 'none'}`
}

function describe(cli: Cli, status: HostStatus): string {
  const { address, ring, lend, store, memoryBytes } = status
  const bad = Object.entries(status.counters).filter(([, times]) => times > 0)
  return format.facts([
    ['role', `${cli.paint(status.role === 'member' ? 'green' : 'yellow', status.role)} of network ${status.network}`],
    ['address', address ? formatEndpoint(address) : 'none that others can dial'],
    ['peer', status.peer],
    ['up', `since ${format.instant(status.upSinceMs)}, process ${status.pid}`],
    [ring.overlay === 'chord' ? 'ring' : 'overlay', neighbourhood(ring)],
    ['links', format.some(status.connections, 'connection')],
    [
      'lends',
      lend.state === 'lending'
        ? `${lend.busy} of ${lend.cores} cores busy, ${format.some(lend.tasksDone, 'task')} done`
        : `nothing now: ${lend.why}${lend.tasksRunning > 0 ? `; ${format.some(lend.tasksRunning, 'task')} still run` : ''}`,
    ],
    ['code', lend.sandbox && sandboxLine(lend.sandbox)],
    ['ledger', ledgerLine(cli, status.ledger)],
    ['keeps', keeps(cli, status.role, store)],
    ['memory', `${format.bytes(memoryBytes.rss)}, ${format.bytes(memoryBytes.heapUsed)} of it objects`],
    [
      'counters',
      cli.flags.verbose > 0 ? bad.map(([name, times]) => `${name} ${times}`).join(', ') || 'none' : undefined,
    ],
  ])
}
