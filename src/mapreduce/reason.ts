/** Why a job that has not ended is where it is, in words. Pure. */
import type { Summary } from './messages.ts'
import type { HostStanding } from './survey.ts'

export interface Heard {
  readonly summary: Pick<Summary, 'queued' | 'running' | 'waits'>
  /** Has the owner of its top segment reported to this coordinator? */
  readonly reported: boolean
  /** Of hosts that were asked because nothing comes of it. */
  readonly hosts: readonly HostStanding[] | undefined
}

/** `contracted`: it is paid for, and only some hosts do its tasks. */
export function reasonOf(
  heard: Heard | undefined,
  job: { started: boolean; begun: boolean; contracted: boolean; work: string },
): string {
  if (!job.started) return 'just submitted'
  if (!heard) return job.begun ? job.work : 'its tasks are in queues'
  if (!heard.reported) return 'a host has just become its coordinator, and has not heard of its tasks yet'
  const { queued, running, waits: refusal } = heard.summary
  // A host that is looked for when nothing comes of the job any more; before, tasks may be on their way.
  if (job.contracted && queued > 0 && running === 0 && (!job.begun || heard.hosts)) {
    const why = 'it waits for hosts that are contracted for it'
    return refusal === undefined ? why : `${why}, and some leave its code to others: ${refusal}`
  }
  if (refusal !== undefined && running === 0) return `it waits for a host that takes its code: ${refusal}`
  const { hosts } = heard
  if (hosts?.every(({ cores }) => cores === 0)) {
    return `no host lends a core: ${hosts.length === 1 ? '1 host is' : `${hosts.length} hosts are`} known, 0 lend`
  }
  const roots = hosts?.filter((host) => host.queued > 0).length ?? 0
  const waits =
    queued > 0 && `${tasks(queued)} in queues${roots > 0 ? ` of ${roots} host${roots === 1 ? '' : 's'}` : ''}`
  if (running > 0) return `${tasks(running)} under way${waits ? `, ${waits}` : ''}`
  if (!waits) return job.begun ? job.work : 'its tasks are in queues'
  const lent = hosts?.reduce((sum, { cores }) => sum + cores, 0) ?? 0
  const busy = hosts?.reduce((sum, host) => sum + Math.min(host.busy, host.cores), 0) ?? 0
  return lent > 0 ? `${waits}: ${busy} of ${lent} lent cores are at work, on other jobs too` : waits
}

function tasks(count: number): string {
  return `${count} task${count === 1 ? '' : 's'}`
}
