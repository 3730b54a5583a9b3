/** `chorale job logs`. */
import { Command } from 'commander'
import { ChoraleError, errorCode } from '../../core/errors.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { requireJob, taskOption } from './job.ts'

interface Options {
  readonly follow?: boolean
  readonly task?: number
}

export function logsCommand(cli: Cli): Command {
  return new Command('logs')
    .description(
      'print what the tasks of a job have logged, on any node: the last 1000 lines, which the host that coordinates the' +
        ' job keeps in memory for an hour. What is gone from there, chorale job replay JOB --task N logs again',
    )
    .argument('<job>', 'its id; a unique beginning is enough')
    .option('-f, --follow', 'and what comes, until the job is done; leaving does not stop it')
    .addOption(taskOption('of this task only'))
    .addHelpText(
      'after',
      examples(
        'chorale job logs bafyreib3k2',
        '',
        'chorale job logs bafyreib3k2 -f',
        'until it is done',
        'chorale job logs bafyreib3k2 --task 17 --json',
        'one line of the log per line',
      ),
    )
    .action(cli.action((id: string, options: Options) => logs(cli, id, options)))
}

async function logs(cli: Cli, prefix: string, { follow = false, task }: Options): Promise<number> {
  const host = await cli.connect()
  const { id } = await requireJob(cli, host, prefix)
  let seen = 0
  let lines = 0
  try {
    for await (const line of host.jobs.logs(id, { task, follow, signal: cli.signal })) {
      const missing = line.seq - seen - 1
      // Of one task it cannot be told whose lines the missing ones were.
      if (task === undefined && missing > 0) cli.note(`(${format.some(missing, 'line')} not kept)`)
      seen = line.seq
      lines++
      if (cli.flags.json) cli.emit('line', { job: id, ...line })
      else cli.terminal.out(`${format.shortPeer(line.host)} ${format.logLine(line.task, line.text)}\n`)
    }
  } catch (error) {
    if (errorCode(error) !== 'interrupted' || !follow) throw error
    throw new ChoraleError('interrupted', 'stopped following the log: the job goes on')
  }
  if (lines === 0) {
    const whose = task === undefined ? '' : ` of task ${task}`
    cli.note(
      `no lines${whose} are kept; tasks log with log(...) of their context, and chorale job replay ${format.shortId(id)}` +
        ` --task ${task ?? 0} does one again`,
    )
  }
  return 0
}
