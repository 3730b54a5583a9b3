/** `chorale job run --local`. */
import { randomInt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { ChoraleError } from '../../core/errors.ts'
import type { LocalResult } from '../../job-file.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { Landing } from '../local-files.ts'
import { jobFile, localInput, type OwnJobOptions, outputOf, ownJobOptions } from './own.ts'

/** Between two looks at how far it is. */
const LINE_MS = 1000

export function runCommand(cli: Cli): Command {
  const command = new Command('run')
    .description('run a job of your own on this machine alone, as the overlay would; needs no node')
    .argument('<file>', 'a module whose default export is made by defineJob')
    .requiredOption('--local', 'on this machine')
  return ownJobOptions(command)
    .option('--input <file>', 'what it works on, if it works on a file')
    .option('-o, --output <file>', 'where to write what a keyed job makes')
    .option('--force', 'replace what has that name')
    .addHelpText(
      'after',
      examples(
        'chorale job run --local birthdays.ts --param people=23 --seed 42',
        '',
        'chorale job run --local words.ts --input book.txt -o counts.txt',
        'a job that works on a file',
      ),
    )
    .action(cli.action((file: string, options: Options) => run(cli, file, options)))
}

interface Options extends OwnJobOptions {
  readonly output?: string
  readonly force?: boolean
}

async function run(cli: Cli, path: string, options: Options): Promise<number> {
  await jobFile(path)
  const input = await localInput(options.input)
  const { output, force = false } = options
  await using landing = output === undefined ? undefined : await Landing.at(resolve(output), force)
  const { runJobFile } = await import('../../job-file.ts')
  const seed = options.seed ?? randomInt(2 ** 32)
  const beganAtMs = Date.now()
  let told = beganAtMs
  const { name, value, tasks, params } = await runJobFile(
    { file: resolve(path), params: Object.fromEntries(options.param), seed, input, cores: availableParallelism() },
    {
      signal: cli.signal,
      onLog: (task, text) => cli.note(format.logLine(task, text)),
      onResult: async (result, store) => {
        if (!landing) return
        await landing.file('', store.cat(required(result)))
        await landing.finish()
      },
      onProgress: (done, total) => {
        const now = Date.now()
        if (now - told < LINE_MS) return
        told = now
        cli.note(`${format.percent(done, total)} of ${format.count(total)} tasks`)
      },
    },
  )
  const elapsedMs = Date.now() - beganAtMs
  cli.print(
    'result',
    { status: 'succeeded', value, tasks: { total: tasks }, seed, elapsedMs },
    format.value(value) ?? '',
  )
  const title = format.jobTitle({ name, params, seed })
  cli.note(`  ${title}; ${format.some(tasks, 'task')}, ${format.span(elapsedMs)}, on this machine`)
  return 0
}

function required({ name, value }: LocalResult): string {
  const output = outputOf(value)
  if (output !== undefined) return output
  throw new ChoraleError('usage', `${name} makes no output: -o is for jobs made by defineKeyedJob`)
}
