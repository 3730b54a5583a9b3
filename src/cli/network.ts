/** `chorale network create|show`: the genesis of a network, which says how its ledger begins and by what rules. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import type { GenesisFacts } from '../ledger-network.ts'
import { parseCredits } from '../market/ledger/credits.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { credits } from './ledger-text.ts'
import { duration, integer, liveSpace, networkName, PLACEMENTS, type Placement } from './values.ts'

/**
 * In an epoch each banker has to show that it lives, or it may lose its seat: time for a few views that fail (1.5 s each,
 * longer on a slow network), and for the committee to take turns at the end of it (2 s each).
 */
const MIN_EPOCH_MS = 60_000

interface Options {
  readonly out: string
  readonly network: string
  readonly space: string
  readonly placement: Placement
  readonly successors: number
  readonly replicas: number
  readonly epoch: number
  readonly committee: number
  readonly bond: bigint
  readonly unbonding: number
  readonly grant: bigint
  readonly mintCap?: bigint
  readonly banker: readonly string[]
}

export function networkCommand(cli: Cli): Command {
  return new Command('network')
    .description('how a network begins, and by what rules: create, show')
    .addHelpText(
      'after',
      examples(
        'chorale network create --out lab.genesis',
        '',
        'chorale up --genesis lab.genesis',
        'its first banker',
        'chorale up --genesis lab.genesis --bootstrap ADDR',
        'all other nodes',
      ),
    )
    .addCommand(createCommand(cli))
    .addCommand(showCommand(cli))
}

function createCommand(cli: Cli): Command {
  const amount = (flags: string, description: string, usual: bigint) =>
    new Option(flags, description).argParser(parseCredits).default(usual, credits(usual))
  const time = (flags: string, description: string, minMs: number, usualMs: number, usual: string) =>
    new Option(flags, description)
      .argParser(duration(flags.split(' ')[0]!, { minMs, maxDays: 3660, example: usual }))
      .default(usualMs, usual)
  return new Command('create')
    .description('write the genesis of a new network; without one, the first chorale up makes it')
    .requiredOption('-o, --out <file>', 'a name that is free')
    .addOption(new Option('-n, --network <name>', 'its name').argParser(networkName('--network')).default('private'))
    .addOption(
      new Option('--space <name>', 'what its overlay lives in: ring, torus2..5 or cube2..5')
        .argParser(liveSpace('--space'))
        .default('ring'),
    )
    .addOption(
      new Option('--placement <rule>', 'how ids follow from addresses: ip-port, or ip-prefix for open networks')
        .choices(PLACEMENTS)
        .default('ip-port'),
    )
    .addOption(
      new Option('--successors <r>', 'length of successor lists, on the ring')
        .argParser(integer('--successors', { min: 2, max: 32, example: '4' }))
        .default(4),
    )
    .addOption(
      new Option('--replicas <n>', 'copies of each block')
        .argParser(integer('--replicas', { min: 1, max: 16, example: '3' }))
        .default(3),
    )
    .addOption(
      new Option(
        '--banker <peer=address>',
        'a first banker, as chorale id --banker prints it in its home; 1, 4, 7, ... of them',
      )
        .argParser((text: string, before: string[]) => [...before, text])
        .default([], 'this home'),
    )
    .addOption(time('--epoch <time>', 'from one choice of the committee to the next', MIN_EPOCH_MS, 3_600_000, '1h'))
    .addOption(
      new Option('--committee <n>', 'seats of the committee at most: 1, 4, 7, ... 64')
        .argParser(integer('--committee', { min: 1, max: 64, example: '31' }))
        .default(31),
    )
    .addOption(amount('--bond <credits>', 'what a banker has at stake', 10_000n))
    .addOption(time('--unbonding <time>', 'how long a bond stays after notice was given', 1000, 86_400_000, '1d'))
    .addOption(amount('--grant <credits>', 'what each new account is granted', 50_000n))
    .addOption(
      new Option(
        '--mint-cap <credits>',
        'nothing is granted beyond so many credits in all (default: no limit)',
      ).argParser(parseCredits),
    )
    .addHelpText(
      'after',
      examples(
        'chorale network create --out lab.genesis --network lab --epoch 1d',
        '',
        'chorale id --banker --home ./bank1',
        'in the home of each first banker: prints PEER=ADDRESS',
        'chorale network create --out lab.genesis --banker PEER=ADDRESS --banker ...',
        'four first bankers, or seven, ...',
        'chorale network create --out open.genesis --network open --placement ip-prefix --successors 16',
        'for an open network: an address has ids in eight short arcs of the ring, not anywhere',
      ),
    )
    .action(
      cli.action(async (options: Options) => {
        const { createNetwork } = await import('../ledger-network.ts')
        const { out, network, space, placement, successors, replicas, banker: bankers, mintCap } = options
        const { epoch: epochMs, committee: committeeCap, bond, unbonding: unbondingMs, grant } = options
        const settings = { epochMs, committeeCap, bond, unbondingMs, grant, mintCap }
        const overlay = { network, space, placement, successors, replicas }
        const { bytes, facts } = await createNetwork({
          home: cli.flags.home,
          overlay,
          settings,
          bankers,
          nowMs: Date.now(),
        })
        const file = resolve(out)
        write(file, bytes)
        cli.print('network', { file, ...facts }, `network ${network}, ledger id ${facts.network}, in ${file}`)
        // The genesis says the name and the rest of what its nodes must be started with.
        const first = bankers.length > 0 ? 'a first banker, in its home' : 'its banker'
        cli.note(`start ${first}, with\n  chorale up --genesis ${out}${bankers.length > 0 ? ' --home DIR' : cli.at}`)
        cli.note(
          `and every other node at the address that it prints, with\n  chorale up --genesis ${out} --bootstrap ADDR`,
        )
        if (grant < bond) {
          const lacking = `an account is granted ${credits(grant)} and a bond is ${credits(bond)}`
          cli.note(`${lacking}: nobody can stand for the committee before earning the rest`)
        }
        return 0
      }),
    )
}

function showCommand(cli: Cli): Command {
  return new Command('show')
    .description('show name, ledger id, overlay, rules and first bankers of a network')
    .argument('[file]', 'a genesis (default: that of the ledger of this home)')
    .addHelpText('after', examples('chorale network show', '', 'chorale network show lab.genesis', ''))
    .action(
      cli.action(async (file: string | undefined) => {
        const { networkFacts } = await import('../ledger-network.ts')
        const facts = networkFacts(cli.flags.home, file)
        if (!facts) {
          const remedy = 'it gets one with its first chorale up'
          throw new ChoraleError('not-found', `home ${cli.flags.home} is in no network yet: ${remedy}`)
        }
        cli.print('network', facts, describe(facts))
        return 0
      }),
    )
}

function write(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes, { flag: 'wx' })
  } catch (error) {
    throw new ChoraleError('io', `cannot write ${file}: ${errorMessage(error)}`, { cause: error })
  }
}

function describe({ network, overlay, createdAtMs, settings, bankers }: GenesisFacts): string {
  const { name, space, placement, successors, replicas, copies = 3 } = settings
  const { epochMs, committeeCap, bond, unbondingMs, grant, mintCap } = settings
  return format.facts([
    ['network', name],
    ['ledger id', network],
    ['overlay', `${space ?? `ring of ${successors} successors`}, id ${overlay}`],
    ['placement', placement],
    // Blocks are kept as often as --replicas says, what changes at least as often as makes a young ring safe.
    ['kept', `each block by ${format.some(copies, 'node')} (--replicas), records and jobs by ${replicas}`],
    ['since', format.instant(createdAtMs)],
    ['epoch', format.span(epochMs)],
    ['committee', `at most ${format.some(committeeCap, 'seat')}`],
    ['bond', `${credits(bond)}, for ${format.span(unbondingMs)} after notice`],
    ['grant', `${credits(grant)} to each new account${mintCap === null ? '' : `, up to ${credits(mintCap)} in all`}`],
    ...bankers.map(({ peer, address }, i): [string, string] => [i === 0 ? 'bankers' : '', `${peer} for ${address}`]),
  ])
}
