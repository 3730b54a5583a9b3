/** `chorale job result`. */
import { Command } from 'commander'
import { ChoraleError } from '../../core/errors.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { duration } from '../values.ts'
import { showProgress } from '../view.ts'
import { follow, printResult, requireJob } from './job.ts'
import { isOver } from './over.ts'

interface Options {
  readonly wait?: boolean
  readonly timeout?: number
}

export function resultCommand(cli: Cli): Command {
  return new Command('result')
    .description('print the value of a job that is done')
    .argument('<job>', 'its id; a unique beginning is enough')
    .option('--wait', 'wait until it is done')
    .option('--timeout <time>', 'wait at most this long; the job goes on', duration('--timeout'))
    .addHelpText(
      'after',
      examples('chorale job result bafyreib3k2', '', 'chorale job result bafyreib3k2 --timeout 5m', ''),
    )
    .action(cli.action((id: string, options: Options) => result(cli, id, options)))
}

async function result(cli: Cli, prefix: string, options: Options): Promise<number> {
  const host = await cli.connect()
  const job = await requireJob(cli, host, prefix)
  if (isOver(job)) return printResult(cli, job)
  if (!options.wait && options.timeout === undefined) {
    const done = format.percent(job.tasks.done, job.tasks.total)
    throw new ChoraleError('wait-timeout', `the job is ${job.state}, ${done} done: add --wait to wait for it`)
  }
  const view = showProgress(cli)
  try {
    const onView = (now: typeof job) => view.update(now)
    const end = await follow(cli, host, job.id, { timeoutMs: options.timeout, onView })
    view.end()
    return printResult(cli, end)
  } finally {
    view.end()
  }
}
