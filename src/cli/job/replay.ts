/** `chorale job replay`. */
import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { JobView } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import { EXIT } from '../exit.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { noSuchJob, requireJob, taskOption } from './job.ts'

/** Between two looks at how far it is. */
const LINE_MS = 1000
/** Lines of a whole job's log that `--json` holds. */
const MAX_LINES = 1000

interface Options {
  readonly task?: number
  readonly allowNative?: boolean
}

export function replayCommand(cli: Cli): Command {
  return new Command('replay')
    .description(
      'do a job, or one task of it, again on this machine, with its log. What it gives is the same to the byte; of a job' +
        ' that succeeded that is checked (exit code 9 if it is not so)',
    )
    .argument('<job>', 'its id; a unique beginning is enough')
    .addOption(taskOption('one task instead of all; of a job of several rounds, one of the last'))
    .option(
      '--allow-native',
      'run code of a job that was not submitted through this node also as root, and JavaScript also without bubblewrap:' +
        ' what breaks out of the sandbox then has your rights',
    )
    .addHelpText(
      'after',
      examples(
        'chorale job replay bafyreib3k2 --task 17',
        'what it logs, and what it gives',
        'chorale job replay bafyreib3k2',
        'is its value right?',
      ),
    )
    .action(cli.action((id: string, options: Options) => replay(cli, id, options)))
}

async function replay(cli: Cli, prefix: string, { task, allowNative = false }: Options): Promise<number> {
  const host = await cli.connect()
  const job = await requireJob(cli, host, prefix)
  const spec = await host.jobs.spec(job.id, { signal: cli.signal })
  if (!spec) throw noSuchJob(prefix)
  if (task !== undefined && task >= spec.tasks) {
    throw new ChoraleError(
      'usage',
      `the job has ${format.some(spec.tasks, 'task')}, from 0 on: there is no task ${task}`,
    )
  }
  const { replayJob, replayTask } = await import('../../job-replay.ts')
  const { signal } = cli
  const store = {
    cat: (cid: string) => host.store.cat(cid, { signal }),
    leaves: (cid: string) => host.store.leaves(cid, { signal }),
  }
  const own = await host.jobs.isOwn(job.id, { signal })
  const run = { spec, store, cores: availableParallelism(), own, allowNative }
  const log: { task: number; text: string }[] = []
  const options = { signal, onLog: heard(cli, log), onProgress: progress(cli) }
  const base = { job: job.id, ...(task !== undefined && { task }) }
  try {
    const result = await (task === undefined ? replayJob(run, options) : replayTask(run, task, options))
    const same = task === undefined && job.digest !== undefined ? job.digest === result.digest : undefined
    cli.print(
      'replay',
      { ...base, status: 'done', ...result, ...(same !== undefined && { same }), log },
      valueText(result.value),
    )
    cli.note(`  ${format.some(result.bytes, 'byte')}, SHA-256 ${result.digest}`)
    return judge(cli, job, same)
  } catch (error) {
    if (errorCode(error) === 'unsupported') {
      throw new ChoraleError('config', `${errorMessage(error)}: replay it with the version of the nodes that ran it`)
    }
    if (errorCode(error) !== 'user-code') throw error
    const message = errorMessage(error)
    if (cli.flags.json) cli.emit('replay', { ...base, status: 'failed', message, log })
    cli.terminal.err(`chorale: ${format.plain(message)}\n`)
    return EXIT.userCode
  }
}

function judge(cli: Cli, job: JobView, same: boolean | undefined): number {
  if (same === false) {
    cli.terminal.err(
      `chorale: not the job's bytes, whose SHA-256 is ${job.digest}: a host lied, or the job is not deterministic\n`,
    )
    return EXIT.mismatch
  }
  if (same) cli.note('  same bytes')
  else if (job.state !== 'succeeded') cli.note(`  nothing to compare it with: the job is ${job.state}`)
  return EXIT.ok
}

function valueText(value: Parameters<typeof format.value>[0]): string {
  return format.plain(format.value(value) ?? 'null')
}

/** Shown as it comes, and kept for `--json`. */
function heard(cli: Cli, log: { task: number; text: string }[]): (task: number, text: string) => void {
  return (task, text) => {
    log.push({ task, text })
    if (log.length > MAX_LINES) log.shift()
    cli.note(format.logLine(task, text))
  }
}

function progress(cli: Cli): (done: number, total: number) => void {
  let told = Date.now()
  return (done, total) => {
    const now = Date.now()
    if (now - told < LINE_MS) return
    told = now
    cli.note(`${format.percent(done, total)} of ${format.count(total)} tasks`)
  }
}
