/** `chorale lend ...`: what this machine lends to jobs, and when. Set while the node runs or while it does not. */
import { availableParallelism } from 'node:os'
import { Command, Option } from 'commander'
import type { LendBody } from '../api/lend-views.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import { parseCredits } from '../market/ledger/credits.ts'
import { bodyOf, type LendChange, parseWhen } from '../market/lending/setting.ts'
import { sayAtStake } from './at-stake.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { describeLending, describeSetting } from './lend-text.ts'
import { bytes, cores } from './values.ts'

export function lendCommand(cli: Cli): Command {
  return new Command('lend')
    .description('what this machine lends to jobs, and when: set, show, pause, resume')
    .addHelpText(
      'after',
      examples(
        'chorale lend show',
        '',
        'chorale lend set --cpu 2 --memory 4GiB --when idle',
        'while nobody else uses this machine',
        'chorale lend pause',
        'ends what runs, and begins nothing',
      ),
    )
    .addCommand(setCommand(cli))
    .addCommand(showCommand(cli))
    .addCommand(pauseCommand(cli))
    .addCommand(resumeCommand(cli))
}

interface SetOptions {
  readonly cpu?: number | 'all'
  readonly memory?: number | 'auto'
  readonly store?: number | 'auto'
  readonly when?: LendChange['when']
  readonly minPrice?: LendChange['minPrice']
  readonly level?: LendChange['level']
}

function setCommand(cli: Cli): Command {
  const available = availableParallelism()
  return new Command('set')
    .description('change what is lent, from now on and for later starts; what is not said stays as it is')
    .addOption(
      new Option('--cpu <cores>', `of the ${available} of this machine, or all; 0 lends nothing`).argParser(
        or('all', cores('--cpu', available)),
      ),
    )
    .addOption(
      new Option(
        '--memory <size>',
        'for the code of jobs, 512 MiB for each task at work; auto: as the cores need',
      ).argParser(or('auto', bytes('--memory', { min: 0, example: '4GiB' }))),
    )
    .addOption(
      new Option(
        '--store <size>',
        "disk for blocks, from the node's next start on, or auto; 0 keeps nothing",
      ).argParser(or('auto', bytes('--store', { min: 1024 ** 2, example: '20GiB' }))),
    )
    .addOption(
      new Option(
        '--when <when>',
        'always; idle: while others leave this machine alone; or hours, local time',
      ).argParser((text) => parseWhen(text, '--when')),
    )
    .addOption(
      new Option('--min-price <credits>', 'for an hour of one core, the least; auto: what the market pays').argParser(
        or('auto', leastPrice),
      ),
    )
    .addOption(
      new Option('--level <level>', 'os: only behind the walls of bubblewrap; process: without them too').argParser(
        level,
      ),
    )
    .addHelpText(
      'after',
      examples(
        'chorale lend set --cpu 2 --memory 4GiB --store 20GiB',
        '',
        'chorale lend set --when 22:00-06:00 --level os',
        'at night, and only with bubblewrap',
      ),
    )
    .action(
      cli.action(async ({ cpu, memory, store, when, minPrice, level: wall }: SetOptions) => {
        const change: LendChange = {
          ...(cpu !== undefined && { cores: cpu === 'all' ? null : cpu }),
          ...(memory !== undefined && { memoryBytes: memory === 'auto' ? null : memory }),
          ...(store !== undefined && { storeBytes: store === 'auto' ? null : store }),
          ...(when !== undefined && { when }),
          ...(minPrice !== undefined && { minPrice }),
          ...(wall !== undefined && { level: wall }),
        }
        if (Object.keys(change).length === 0) {
          throw new ChoraleError('usage', 'nothing to set: try chorale lend set --cpu 2, or chorale lend show')
        }
        const lending = await apply(cli, change)
        if (!lending) return 0
        const { state, why, tasksRunning } = lending
        const running = tasksRunning > lending.slots ? `; ${format.some(tasksRunning, 'task')} still run` : ''
        const text = state === 'lending' ? `lends ${slots(lending)}, ${why}` : `lends nothing now: ${why}${running}`
        cli.print('lend', { running: true, ...lending }, text)
        if (store !== undefined) cli.note("the store's size holds from the next start of the node on")
        return 0
      }),
    )
}

function showCommand(cli: Cli): Command {
  return new Command('show')
    .description('show what is lent, whether it is lent now, and what came of it')
    .option('--measure', 'measure how fast this machine is first; takes some seconds of one core')
    .addHelpText('after', examples('chorale lend show', '', 'chorale lend show --measure', 'the speed of this machine'))
    .action(
      cli.action(async ({ measure = false }: { measure?: boolean }) => {
        const { lending } = await cli.connect()
        const options = { signal: cli.signal }
        const view = await withNode(cli, () => (measure ? lending.measure(options) : lending.view(options)))
        if (view) {
          cli.print('lend', { running: true, ...view }, describeLending(cli, view))
          return 0
        }
        if (measure) throw new ChoraleError('no-node', `a node measures: start one with chorale up -d${cli.at}`)
        const { lendingOf } = await import('../lend-home.ts')
        const { setting, speed = null } = lendingOf(cli.flags.home)
        const body = bodyOf(setting)
        cli.print('lend', { running: false, setting: body, speed }, describeSetting(body))
        cli.note('no node is running: this is what the next one lends')
        return 0
      }),
    )
}

function pauseCommand(cli: Cli): Command {
  return new Command('pause')
    .description('begin no more tasks until resume, also after a restart; those that run are finished')
    .addHelpText('after', examples('chorale lend pause', ''))
    .action(
      cli.action(async () => {
        const lending = await apply(cli, { paused: true })
        if (!lending) return 0
        const { tasksRunning } = lending
        const rest = tasksRunning === 1 ? '1 task still runs' : `${format.some(tasksRunning, 'task')} still run`
        const text = tasksRunning === 0 ? 'paused: no task runs here' : `paused: ${rest}, and nothing new is begun`
        cli.print('lend', { running: true, ...lending }, text)
        await sayAtStake(cli, await cli.connect(), 'resume')
        return 0
      }),
    )
}

function resumeCommand(cli: Cli): Command {
  return new Command('resume')
    .description('lend again, as it is set')
    .addHelpText('after', examples('chorale lend resume', ''))
    .action(
      cli.action(async () => {
        const lending = await apply(cli, { paused: false })
        if (!lending) return 0
        const { state, why } = lending
        const text =
          state === 'lending' ? `lends ${slots(lending)}, ${why}` : `not paused, but lends nothing now: ${why}`
        cli.print('lend', { running: true, ...lending }, text)
        return 0
      }),
    )
}

function slots({ slots: count }: LendBody): string {
  return `${format.some(count, 'slot')} for tasks`
}

/** Undefined: no node runs, and the home keeps it for the next one, which is told. */
async function apply(cli: Cli, change: LendChange): Promise<LendBody | undefined> {
  const { lending } = await cli.connect()
  const body = bodyOf(change)
  const before = await withNode(cli, () => lending.view({ signal: cli.signal }))
  if (before) {
    const after = await lending.set(body, { signal: cli.signal })
    const ended = before.given.filter((name) => !after.given.includes(name))
    if (ended.length > 0)
      cli.note('the node was started with other values: started in the same way, it has these again')
    return after
  }
  const { setLending } = await import('../lend-home.ts')
  const { setting, speed = null } = await setLending(cli.flags.home, change)
  cli.print('lend', { running: false, setting: bodyOf(setting), speed }, describeSetting(bodyOf(setting)))
  cli.note('no node is running: the next one lends this')
  return undefined
}

/** Undefined: none runs in this home. */
async function withNode(cli: Cli, call: () => Promise<LendBody>): Promise<LendBody | undefined> {
  try {
    return await call()
  } catch (error) {
    if (errorCode(error) !== 'no-node' || cli.flags.api !== undefined) throw error
    return undefined
  }
}

/** A word that means something of its own, else what the parser says. Not null: commander takes that for no value. */
function or<T, W extends string>(word: W, parse: (text: string) => T): (text: string) => T | W {
  return (text) => (text === word ? word : parse(text))
}

function leastPrice(text: string) {
  try {
    return parseCredits(text)
  } catch {
    throw new ChoraleError('usage', `--min-price must be auto or credits, not '${text}': try --min-price 0.5`)
  }
}

function level(text: string): 'os' | 'process' {
  if (text === 'os' || text === 'process') return text
  throw new ChoraleError('usage', `--level must be os or process, not '${text}': try --level os`)
}
