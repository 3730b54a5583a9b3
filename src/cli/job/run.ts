/** `chorale job run --local`. */
import { randomInt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { jobFile, type OwnJobOptions, ownJobOptions } from './own.ts'

/** Between two looks at how far it is. */
const LINE_MS = 1000

export function runCommand(cli: Cli): Command {
  const command = new Command('run')
    .description('run a job of your own on this machine alone, as the overlay would; needs no node')
    .argument('<file>', 'a module whose default export is made by defineJob')
    .requiredOption('--local', 'on this machine')
  return ownJobOptions(command)
    .addHelpText('after', examples('chorale job run --local birthdays.ts --param people=23 --seed 42', ''))
    .action(cli.action((file: string, options: OwnJobOptions) => run(cli, file, options)))
}

async function run(cli: Cli, path: string, options: OwnJobOptions): Promise<number> {
  await jobFile(path)
  const { runJobFile } = await import('../../job-file.ts')
  const seed = options.seed ?? randomInt(2 ** 32)
  const beganAtMs = Date.now()
  let told = beganAtMs
  const { name, value, tasks, params } = await runJobFile(
    { file: resolve(path), params: Object.fromEntries(options.param), seed, cores: availableParallelism() },
    {
      signal: cli.signal,
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
