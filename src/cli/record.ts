/** `chorale record set|get`: small signed values that change. */
import { Command, Option } from 'commander'
import type { RecordView } from '../api/routes.ts'
import { ChoraleError } from '../core/errors.ts'
import { MAX_RECORD_LIFE_MS, MAX_RECORD_VALUE_BYTES } from '../core/limits.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { duration } from './values.ts'

const DAY_MS = 24 * 3_600_000

export function recordCommand(cli: Cli): Command {
  return new Command('record')
    .description("small signed values under this node's key, which it can change: set, get")
    .addHelpText('after', examples('chorale record set site CID', '', 'chorale record get site --of PEER', ''))
    .addCommand(setCommand(cli))
    .addCommand(getCommand(cli))
}

function setCommand(cli: Cli): Command {
  return new Command('set')
    .description(
      `write this node's record of a name, instead of an earlier one: at most ${MAX_RECORD_VALUE_BYTES} bytes`,
    )
    .argument('<name>', 'what to call it')
    .argument('<value>', 'text; - for stdin')
    .addOption(
      new Option(
        '--expires <time>',
        'how long it is valid: 30s, 5m, 1h, 2d; at least as long as the one that it replaces',
      )
        .argParser(duration('--expires', { minMs: 10_000, maxDays: MAX_RECORD_LIFE_MS / DAY_MS, example: '30d' }))
        .default(7 * DAY_MS, '7d'),
    )
    .addHelpText(
      'after',
      examples('chorale record set site CID --expires 30d', '', 'chorale record set key - < key.pub', ''),
    )
    .action(
      cli.action(async (name: string, value: string, { expires }: { expires: number }) => {
        const bytes = value === '-' ? await readInput(cli) : Buffer.from(value)
        const { store } = await cli.connect()
        const record = await store.publish(name, bytes, Math.ceil(expires), { signal: cli.signal })
        const { peer, seq, expiresAtMs } = record
        cli.print('record', fields(record), '')
        const longer = expiresAtMs > Date.now() + expires + 60_000 ? ', as long as the one before' : ''
        cli.note(`written as number ${seq}, valid until ${format.instant(expiresAtMs)}${longer}; others read it with`)
        cli.note(`  chorale record get ${quoted(name)} --of ${peer}`)
        return 0
      }),
    )
}

function getCommand(cli: Cli): Command {
  return new Command('get')
    .description('write the newest value of a record to stdout')
    .argument('<name>', 'what it is called')
    .option('--of <peer>', 'peer id of whose it is (default: this node)')
    .addHelpText(
      'after',
      examples('chorale record get site --of PEER', '', 'chorale cat $(chorale record get site)', ''),
    )
    .action(
      cli.action(async (name: string, { of }: { of?: string }) => {
        const host = await cli.connect()
        const peer = of ?? (await host.status({ signal: cli.signal })).peer
        const record = await host.store.record(peer, name, { signal: cli.signal })
        if (cli.flags.json) cli.emit('record', fields(record))
        else {
          const bytes = Buffer.from(record.value, 'base64')
          await cli.terminal.write(bytes)
          if (cli.terminal.tty && bytes.at(-1) !== 0x0a) cli.terminal.out('\n')
        }
        return 0
      }),
    )
}

/** As a shell takes it for one word. */
function quoted(name: string): string {
  return /^[\w.:/@-]+$/.test(name) ? name : `'${format.safeName(name).replaceAll("'", "'\\''")}'`
}

/** `value` is text where the bytes are. */
function fields({ value, ...rest }: RecordView) {
  const bytes = Buffer.from(value, 'base64')
  const text = bytes.toString('utf8')
  return { ...rest, ...(Buffer.from(text).equals(bytes) && { value: text }), valueBase64: value }
}

async function readInput(cli: Cli): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of cli.terminal.input()) {
    size += piece.length
    if (size > MAX_RECORD_VALUE_BYTES) {
      throw new ChoraleError('usage', `a record holds ${MAX_RECORD_VALUE_BYTES} bytes: chorale add keeps more`)
    }
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
