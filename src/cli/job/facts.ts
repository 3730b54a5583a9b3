/** A job in words: what is known of it, why it waits, and what to do when it has failed. */
import type { PurchaseBody } from '../../api/market-views.ts'
import type { JobAlarm, JobView } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'

/** `purchase`: of a job that was bought. */
export function jobFacts(cli: Cli, job: JobView, purchase?: PurchaseBody): string {
  const { tasks, failure } = job
  const tint = job.state === 'succeeded' ? 'green' : job.state === 'failed' ? 'red' : 'yellow'
  const elapsedMs = job.finishedAtMs === undefined ? undefined : job.finishedAtMs - job.submittedAtMs
  return format.facts([
    ['job', job.id],
    ['state', `${cli.paint(tint, job.state)}: ${whyState(job, purchase)}`],
    ['work', format.jobTitle(job)],
    [
      'tasks',
      `${format.count(tasks.done)} of ${format.count(tasks.total)} done, ${tasks.reassigned} reassigned, ${format.some(job.workers, 'host')}`,
    ],
    ['now', underWay(tasks)],
    ...(job.hosts ?? []).map(({ peer, cores, queued, running }): [string, string] => [
      'host',
      `${format.shortPeer(peer)}  ${queued} in its queue, ${running} given out, ${cores} cores lent`,
    ]),
    ['estimate', format.value(job.estimate)],
    ['value', format.value(job.value)],
    ['failed', failure && place(job)],
    ...(failure?.log ?? []).map((line): [string, string] => ['log', format.plain(line)]),
    ...alarmFacts(job.alarms),
    ['submitted', `${format.instant(job.submittedAtMs)} by ${job.submitter}`],
    ['finished', elapsedMs === undefined ? undefined : `after ${format.span(elapsedMs)}`],
    ...remedies(cli, job, purchase !== undefined),
  ])
}

/** The market cancels what it gives up: its reason tells more than that the submitter's node has done it. */
function whyState({ state, reason }: JobView, purchase: PurchaseBody | undefined): string {
  if (state !== 'cancelled' || !purchase?.failure) return format.safeName(reason)
  return `given up by the market, ${format.plain(purchase.reason)}`
}

/** Of a job that has no result: beside the one line that says so. */
export function jobEnd(cli: Cli, job: JobView, isBought = false): string {
  const { failure } = job
  return format.facts([
    ['  failed', failure && place(job)],
    ...(failure?.log ?? []).map((line): [string, string] => ['  log', format.plain(line)]),
    ...alarmFacts(job.alarms).map(([label, text]): [string, string] => [`  ${label}`, text]),
    ...remedies(cli, job, isBought).map(([label, text]): [string, string] => [`  ${label}`, text]),
  ])
}

function underWay({ queued, running, partly }: JobView['tasks']): string | undefined {
  if (queued === undefined || running === undefined) return undefined
  const share = partly === undefined || running === 0 ? '' : `, ${format.percent(partly, running)} of that done`
  return `${format.count(queued)} in queues, ${format.count(running)} under way${share}`
}

function place({ failure }: JobView): string | undefined {
  if (!failure) return undefined
  const { phase, task, host } = failure
  return `in ${phase}${task === undefined ? '' : `, task ${task}`}, on ${format.plain(host)}`
}

/** What to type next. A job that was bought is not retried: that would be another contract. */
function remedies(cli: Cli, { id, state, failure }: JobView, isBought: boolean): [string, string][] {
  if (state !== 'failed' && state !== 'cancelled') return []
  const command = (verb: string) => `chorale job ${verb} ${format.shortId(id)}`
  const again: [string, string][] = isBought ? [] : [['again', `${command('retry')}${cli.at}`]]
  if (state === 'cancelled') return again
  const task = failure?.task === undefined ? '' : ` --task ${failure.task}`
  return [['here', `${command('replay')}${task}${cli.at}`], ...again]
}

function alarmFacts(alarms: readonly JobAlarm[] = []): [string, string][] {
  return alarms.map(({ tasks: { first, end }, attempts }) => {
    const what = end - first === 1 ? `task ${first}` : `tasks ${first} to ${end - 1}`
    const results = attempts.map(
      ({ digest, host }) =>
        `${digest?.slice(0, 16) ?? 'another'} from ${host === undefined ? 'an unknown host' : format.plain(host)}`,
    )
    return ['alarm', `${what}: ${results.join(', ')}`]
  })
}
