/** `chorale job check`. */
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { jobFile, localInput, type OwnJobOptions, ownJobOptions } from './own.ts'

export function checkCommand(cli: Cli): Command {
  const command = new Command('check')
    .description('try some tasks of a job of your own, whether its reduce is associative, and its tests; needs no node')
    .argument('<file>', 'a module whose default export is made by defineJob')
  return ownJobOptions(command)
    .option('--input <file>', 'what it works on, if it works on a file')
    .addHelpText('after', examples('chorale job check birthdays.ts', ''))
    .action(cli.action((file: string, options: OwnJobOptions) => check(cli, file, options)))
}

async function check(cli: Cli, path: string, options: OwnJobOptions): Promise<number> {
  await jobFile(path)
  const input = await localInput(options.input)
  const { checkJobFile } = await import('../../job-file.ts')
  const seed = options.seed ?? randomInt(2 ** 32)
  const request = { file: resolve(path), params: Object.fromEntries(options.param), seed, input, cores: 1 }
  const { name, tasks, ran, groups, tests } = await checkJobFile(request, { signal: cli.signal })
  const told = `${name}: ${format.some(tasks, 'task')}; ${ran} of them gave the same result twice`
  const associative = groups > 0 ? `; reduce was associative in ${groups} of ${groups} tries` : ''
  const tested = tests > 0 ? `; ${format.some(tests, 'test')} passed` : ''
  const fields = { name, tasks: { total: tasks, ran }, reduced: groups, tests, seed }
  cli.print('check', fields, `${told}${associative}${tested}`)
  return 0
}
