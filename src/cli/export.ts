/** `chorale export`: a file or directory as a CAR file, with which it moves to IPFS or another network. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { Landing } from './local-files.ts'
import { counted, showTransfer } from './transfer.ts'

interface Options {
  readonly output?: string
  readonly force?: boolean
}

export function exportCommand(cli: Cli): Command {
  return new Command('export')
    .description('write all blocks of a file or directory as a CAR file, for chorale import or ipfs dag import')
    .argument('<ref>', 'CID, or CID/path in a directory')
    .option('-o, --output <file>', 'where to; - for stdout, which is the default')
    .option('--force', 'replace what has that name')
    .addHelpText(
      'after',
      examples('chorale export CID -o photos.car', '', 'chorale export CID | gzip > photos.car.gz', ''),
    )
    .action(cli.action((ref: string, options: Options) => write(cli, ref, options)))
}

async function write(cli: Cli, ref: string, options: Options): Promise<number> {
  const { force = false } = options
  const output = options.output === '-' ? undefined : options.output
  if (!output && cli.terminal.tty) {
    throw new ChoraleError('usage', 'a CAR file is nothing for a terminal: give it a name with -o FILE')
  }
  const { store } = await cli.connect()
  const car = store.exportCar(ref, { signal: cli.signal })
  if (!output) {
    for await (const piece of car) await cli.terminal.write(piece)
    return 0
  }
  await using landing = await Landing.at(resolve(output), force)
  const view = showTransfer(cli, { verb: 'wrote', totalBytes: undefined })
  let bytes = 0
  try {
    await landing.file(
      '',
      counted(car, (so) => view.update((bytes = so))),
    )
    await landing.finish()
  } finally {
    view.end()
  }
  cli.print('exported', { path: landing.target, bytes }, '')
  cli.note(`${landing.target}: ${format.bytes(bytes)}`)
  return 0
}
