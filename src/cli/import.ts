/** `chorale import`: the blocks of a CAR file into the overlay. */
import { Command } from 'commander'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { inspect, readFile } from './local-files.ts'
import { counted, showTransfer } from './transfer.ts'

export function importCommand(cli: Cli): Command {
  return new Command('import')
    .description('keep the blocks of a CAR file in the overlay, and print its roots')
    .argument('<file>', 'a CAR file; - is stdin')
    .option('--no-pin', 'let it go when its lease of 7 days is over')
    .addHelpText('after', examples('chorale import photos.car', '', 'ipfs dag export CID | chorale import -', ''))
    .action(cli.action((file: string, { pin }: { pin: boolean }) => read(cli, file, pin)))
}

async function read(cli: Cli, file: string, pin: boolean): Promise<number> {
  const stdin = file === '-'
  const totalBytes = stdin ? undefined : (await inspect(file)).totalBytes
  const { store } = await cli.connect()
  const view = showTransfer(cli, { verb: 'imported', totalBytes })
  try {
    const source = counted(stdin ? cli.terminal.input() : readFile(file), (bytes) => view.update(bytes))
    const { roots, bytes, blocks } = await store.importCar(source, { pin, signal: cli.signal })
    view.end()
    cli.print('imported', { roots, bytes, blocks }, roots.join('\n'))
    cli.note(
      `  ${format.bytes(bytes)} in ${format.some(blocks, 'block')}, ${pin ? 'pinned' : 'not pinned: kept for 7 days'}`,
    )
    return 0
  } finally {
    view.end()
  }
}
