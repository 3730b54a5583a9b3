/** `chorale add`: files, directories or stdin into the overlay. */
import { Command } from 'commander'
import type { AddedView } from '../api/routes.ts'
import type { RemoteStore } from '../api/store-client.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { inspect, type LocalSource, readFile, readTree } from './local-files.ts'
import { showTransfer } from './transfer.ts'

interface Options {
  readonly lines?: boolean
  readonly pin: boolean
}

export function addCommand(cli: Cli): Command {
  return new Command('add')
    .description('keep files or directories in the overlay, and print the CID of each')
    .argument('<path...>', 'what to add; - is stdin')
    .option('--lines', 'cut at line ends, so that no record is split between blocks')
    .option('--no-pin', 'let it go when its lease of 7 days is over')
    .addHelpText(
      'after',
      examples(
        'chorale add notes.txt',
        '',
        'chorale add photos/',
        'a directory with all that is in it',
        'tar c . | chorale add -',
        'a stream of any length',
        'chorale add --lines access.log',
        'for jobs that read records',
      ),
    )
    .action(cli.action((paths: string[], options: Options) => add(cli, paths, options)))
}

async function add(cli: Cli, paths: readonly string[], options: Options): Promise<number> {
  // All of them first: a name that is wrong must not show after the first gigabytes.
  const sources: LocalSource[] = []
  for (const path of paths) {
    sources.push(path === '-' ? { path, directory: false, totalBytes: undefined } : await inspect(path))
  }
  const { store } = await cli.connect()
  for (const source of sources) {
    const added = await addOne(cli, store, source, options)
    const { cid, bytes, blocks } = added
    cli.print('added', { cid, bytes, blocks }, paths.length > 1 ? `${cid}  ${format.safeName(source.path)}` : cid)
    const how = options.pin ? 'pinned' : 'not pinned: kept for 7 days'
    cli.note(`  ${format.bytes(bytes)} in ${format.some(blocks, 'block')}, ${how}`)
  }
  return 0
}

async function addOne(cli: Cli, store: RemoteStore, source: LocalSource, options: Options): Promise<AddedView> {
  const { path, directory, totalBytes } = source
  const view = showTransfer(cli, { verb: 'added', totalBytes })
  let added = 0
  const call = {
    lines: options.lines,
    pin: options.pin,
    signal: cli.signal,
    onProgress: ({ bytes }: { bytes: number }) => view.update((added = bytes)),
  }
  try {
    if (directory) return await store.addTree(readTree(path), call)
    return await store.addFile(path === '-' ? cli.terminal.input() : readFile(path), call)
  } catch (error) {
    if (added > 0) cli.note(`${format.bytes(added)} of it are kept until their lease of 7 days is over`)
    throw error
  } finally {
    view.end()
  }
}
