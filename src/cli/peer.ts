/** `chorale peer list` and `chorale peer ping`. */
import { Command } from 'commander'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function peerCommand(cli: Cli): Command {
  const list = new Command('list')
    .description('list the hosts that this node is connected to')
    .addHelpText('after', examples('chorale peer list', ''))
    .action(
      cli.action(async () => {
        const peers = await (await cli.connect()).peers({ signal: cli.signal })
        if (peers.length === 0)
          cli.note(
            'no peers yet; others join with chorale up --bootstrap ADDR and the same --network (chorale status shows both)',
          )
        const rows = peers.map(({ peer, address, direction, rttMs }) => [
          peer,
          address ?? '-',
          direction,
          rttMs === undefined ? '-' : `${rttMs.toFixed(1)} ms`,
        ])
        cli.print(
          'peers',
          { peers },
          peers.length > 0 ? format.columns([['PEER', 'ADDRESS', 'DIRECTION', 'RTT'], ...rows]) : '',
        )
        return 0
      }),
    )
  const ping = new Command('ping')
    .description('measure the round-trip time to a host')
    .argument('<target>', 'peer id, ip:port, or the beginning of an overlay id')
    .addHelpText('after', examples('chorale peer ping 127.0.0.1:4001', ''))
    .action(
      cli.action(async (target: string) => {
        const rttMs = await (await cli.connect()).ping(target, { signal: cli.signal })
        cli.print('ping', { target, rttMs }, `${target}  ${rttMs.toFixed(2)} ms`)
        return 0
      }),
    )
  return new Command('peer')
    .description('the hosts that this node talks to: list, ping')
    .addHelpText('after', examples('chorale peer list', '', 'chorale peer ping 127.0.0.1:4001', ''))
    .addCommand(list)
    .addCommand(ping)
}
