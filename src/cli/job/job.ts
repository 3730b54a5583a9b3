/** `chorale job`: its commands, and what they share. */
import { Command, Option } from 'commander'
import type { RemoteHost } from '../../api/client.ts'
import { ChoraleError, errorCode } from '../../core/errors.ts'
import type { JobView } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import { EXIT, exitCodeOfJob } from '../exit.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { integer } from '../values.ts'
import { cancelCommand } from './cancel.ts'
import { checkCommand } from './check.ts'
import { jobEnd } from './facts.ts'
import { listCommand } from './list.ts'
import { logsCommand } from './logs.ts'
import { newCommand } from './new.ts'
import { isOver } from './over.ts'
import { planCommand } from './plan.ts'
import { replayCommand } from './replay.ts'
import { resultCommand } from './result.ts'
import { retryCommand } from './retry.ts'
import { runCommand } from './run.ts'
import { showCommand } from './show.ts'
import { submitCommand } from './submit.ts'
import { watchCommand } from './watch.ts'

export function jobCommand(cli: Cli): Command {
  const job = new Command('job')
    .description(
      'write, submit and follow jobs: new, check, run, plan, submit, list, show, watch, logs, result, cancel, retry, replay',
    )
    .addHelpText('after', examples('chorale job submit builtin:pi --samples 1e9 --wait', '', 'chorale job list', ''))
  for (const create of [
    newCommand,
    checkCommand,
    runCommand,
    planCommand,
    submitCommand,
    listCommand,
    showCommand,
    watchCommand,
    logsCommand,
    resultCommand,
    cancelCommand,
    retryCommand,
    replayCommand,
  ]) {
    job.addCommand(create(cli))
  }
  return job
}

/**
 * Follows a job to its end. Rejects with `wait-timeout` or `interrupted`: the job lives on in both cases, and the
 * message says how to find it again.
 */
export async function follow(
  cli: Cli,
  host: RemoteHost,
  id: string,
  options: { timeoutMs: number | undefined; onView: (job: JobView) => void },
): Promise<JobView> {
  const stop = new AbortController()
  const onInterrupt = () => stop.abort(cli.signal.reason)
  const again = `it goes on, see chorale job watch ${format.shortId(id)}${cli.at}`
  if (cli.signal.aborted) onInterrupt()
  cli.signal.addEventListener('abort', onInterrupt, { once: true })
  const { timeoutMs } = options
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          const after = `the job is not done after ${format.span(timeoutMs)}`
          stop.abort(new ChoraleError('wait-timeout', `${after}: ${again}`))
        }, timeoutMs)
  try {
    let last: JobView | undefined
    for await (const job of host.jobs.watch(id, { signal: stop.signal })) {
      last = job
      options.onView(job)
    }
    if (last && isOver(last)) return last
    throw new ChoraleError('no-node', 'the node stopped before the job was done: ask another node of the network')
  } catch (error) {
    if (errorCode(error) === 'interrupted') throw new ChoraleError('interrupted', `stopped watching the job: ${again}`)
    throw error
  } finally {
    clearTimeout(timer)
    cli.signal.removeEventListener('abort', onInterrupt)
  }
}

/** The end of a job: its value on stdout, or why there is none, unless the caller knows better. Returns the exit code. */
export function printResult(
  cli: Cli,
  job: JobView,
  { purchase, why }: { readonly purchase?: object | undefined; readonly why?: string | undefined } = {},
): number {
  const elapsedMs = job.finishedAtMs === undefined ? undefined : job.finishedAtMs - job.submittedAtMs
  const fields = {
    job: job.id,
    status: job.state,
    reason: job.reason,
    value: job.value ?? null,
    tasks: job.tasks,
    seed: job.seed,
    elapsedMs,
    ...(job.failure && { failure: job.failure }),
    ...(job.alarms && { alarms: job.alarms }),
    ...(purchase && { purchase }),
  }
  if (job.state !== 'succeeded') {
    if (cli.flags.json) cli.emit('result', fields)
    const line = `the job ${job.state === 'cancelled' ? 'was cancelled' : 'failed'}: ${format.safeName(job.reason)}`
    cli.terminal.err(`chorale: ${why ?? line}\n`)
    const hint = jobEnd(cli, job, purchase !== undefined)
    if (why === undefined && hint !== '') cli.note(hint)
    return exitCodeOfJob(job.state)
  }
  cli.print('result', fields, format.value(job.value) ?? 'no value')
  cli.note(
    `  ${format.jobTitle(job)}; ${format.count(job.tasks.total)} tasks, ${job.tasks.reassigned} reassigned` +
      (elapsedMs === undefined ? '' : `, ${format.span(elapsedMs)}`),
  )
  return EXIT.ok
}

export async function requireJob(cli: Cli, host: RemoteHost, id: string): Promise<JobView> {
  const job = await host.jobs.show(id, { signal: cli.signal })
  if (job) return job
  throw noSuchJob(id)
}

export function noSuchJob(id: string): ChoraleError {
  return new ChoraleError('not-found', `nobody knows a job ${id}: chorale job list shows those that this node knows`)
}

export function taskOption(description: string): Option {
  return new Option('--task <n>', description).argParser(integer('--task', { min: 0, max: 2 ** 22 - 1, example: '17' }))
}
