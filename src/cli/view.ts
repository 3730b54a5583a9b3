/**
 * Progress of a job: a small live view on a terminal, a line a second when piped, NDJSON with `--json`. Drawing is a
 * pure function; the view decides when.
 */

import type { PurchaseBody } from '../api/market-views.ts'
import type { JobView } from '../mapreduce/types.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { halfWidth } from './format.ts'
import { purchaseProgress, whyBidding } from './market-text.ts'

const REDRAW_MS = 100
const LINE_MS = 1000
const JSON_MS = 200
/** Before so much is done nobody can tell how long the rest takes. */
const PACE = { tasks: 16, share: 0.05, ms: 500 }

export interface Progress {
  readonly job: JobView
  /** Nodes that are up, when the caller knows; else the hosts that have worked. */
  readonly nodes: number | undefined
  /** Since the job was submitted. */
  readonly elapsedMs: number
  /** What the pace is measured from. */
  readonly since?: Milestone | undefined
  /** Of a job that is bought. */
  readonly purchase?: PurchaseBody | undefined
}

/** How far the job was when its first tasks were seen to be done. What comes before is the start, which is no pace. */
export interface Milestone {
  readonly done: number
  readonly elapsedMs: number
}

export interface ProgressView {
  update(job: JobView, nodes?: number, purchase?: PurchaseBody): void
  /** A line for people that stays, above the view. */
  note(text: string): void
  /** Takes the live part away. */
  end(): void
}

export function showProgress(cli: Cli): ProgressView {
  if (cli.flags.json) return jsonView(cli)
  if (cli.flags.quiet) return { update() {}, note() {}, end() {} }
  return cli.live ? liveView(cli) : lineView(cli)
}

function jsonView(cli: Cli): ProgressView {
  let lastAtMs = 0
  return {
    update(job, nodes, purchase) {
      const now = Date.now()
      if (now - lastAtMs < JSON_MS) return
      lastAtMs = now
      const { id, state, tasks, workers, estimate } = job
      const elapsedMs = now - job.submittedAtMs
      const fields = { job: id, status: state, tasks, nodes: nodes ?? workers, estimate, elapsedMs }
      cli.emit('progress', { ...fields, ...(purchase && { purchase }) })
    },
    note() {},
    end() {},
  }
}

function lineView(cli: Cli): ProgressView {
  let lastAtMs = 0
  let since: Milestone | undefined
  return {
    update(job, nodes, purchase) {
      const now = Date.now()
      const elapsedMs = now - job.submittedAtMs
      since ??= milestone(job, elapsedMs)
      if (now - lastAtMs < LINE_MS) return
      lastAtMs = now
      cli.note(progressLine({ job, nodes, elapsedMs, since, purchase }))
    },
    note: (text) => cli.note(text),
    end() {},
  }
}

function liveView(cli: Cli): ProgressView {
  const { err, width, variables } = cli.terminal
  const unicode = /utf-?8/i.test(`${variables.LC_ALL || variables.LC_CTYPE || variables.LANG || ''}`)
  let latest: Pick<Progress, 'job' | 'nodes' | 'purchase'> | undefined
  let since: Milestone | undefined
  let lines = 0
  let ended = false
  const erase = () => {
    // Up to the first line of the view, and clear from there.
    if (lines > 0) err(`\u001b[${lines}A\u001b[0J`)
    lines = 0
  }
  const draw = () => {
    if (!latest || ended) return
    const elapsedMs = Date.now() - latest.job.submittedAtMs
    const rows = progressRows({ ...latest, elapsedMs, since }, { width: width(), unicode, paint: cli.paint.bind(cli) })
    erase()
    err(`${rows.join('\n')}\n`)
    lines = rows.length
  }
  // The clock on the screen goes on when no task ends for a while.
  const timer = setInterval(draw, REDRAW_MS)
  err('\u001b[?25l') // hides the cursor
  return {
    update(job, nodes, purchase) {
      latest = { job, nodes, purchase }
      since ??= milestone(job, Date.now() - job.submittedAtMs)
    },
    note(text) {
      erase()
      err(`${text}\n`)
      draw()
    },
    end() {
      if (ended) return
      ended = true
      clearInterval(timer)
      erase()
      err('\u001b[?25h')
    },
  }
}

function milestone({ tasks: { done } }: JobView, elapsedMs: number): Milestone | undefined {
  return done > 0 ? { done, elapsedMs } : undefined
}

/** Milliseconds until the end at the pace so far; undefined before anybody can tell. */
export function remainingMs({ job, elapsedMs, since }: Progress): number | undefined {
  if (!since || job.round !== undefined) return undefined // nobody knows how many rounds there will be
  const { tasks } = job
  const did = tasks.done - since.done
  const tookMs = elapsedMs - since.elapsedMs
  if (did < Math.max(1, Math.min(PACE.tasks, PACE.share * tasks.total)) || tookMs < PACE.ms) return undefined
  return (tookMs * (tasks.total - tasks.done)) / did
}

export function progressLine(progress: Progress): string {
  const { job, nodes, elapsedMs, purchase } = progress
  const estimate = format.value(job.estimate)
  const left = remainingMs(progress)
  return [
    job.round === undefined ? `${job.state} ${format.share(job.tasks)}` : `${job.state}, round ${job.round}`,
    `${format.count(job.tasks.done)}/${format.count(job.tasks.total)} tasks`,
    format.some(nodes ?? job.workers, 'node'),
    `${job.tasks.reassigned} reassigned`,
    purchase && purchaseProgress(purchase),
    estimate && `estimate ${clipped(estimate)}`,
    `${format.span(elapsedMs)} elapsed`,
    left !== undefined && format.remaining(left, '~'),
    purchase && whyBidding(purchase),
  ]
    .filter(Boolean)
    .join(', ')
}

/** A line of progress is no place for a table. */
function clipped(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`
}

export interface Screen {
  readonly width: number
  readonly unicode: boolean
  readonly paint: Cli['paint']
}

/** The view, line by line; no line is wider than the screen. */
export function progressRows(progress: Progress, { width, unicode, paint }: Screen): string[] {
  const { job, nodes, elapsedMs, purchase } = progress
  const { done, total, reassigned } = job.tasks
  const tail = ` ${job.round === undefined ? format.share(job.tasks) : `round ${job.round}`}  ${format.count(done)}/${format.count(total)} tasks`
  const room = Math.max(8, Math.min(40, width - 11 - tail.length))
  const full = total > 0 ? Math.floor(((done + (job.tasks.partly ?? 0)) / total) * room) : 0
  const [on, off] = unicode ? ['█', '░'] : ['#', '.']
  const left = remainingMs(progress)
  const why = purchase && whyBidding(purchase)
  const estimate = format.value(job.estimate)
  const plusMinus = unicode ? '±' : '+/-'
  const interval = halfWidth((job.estimate as { ci95?: never } | undefined)?.ci95) === undefined ? '' : '  (95 %)'
  const rows: Array<[string, string, string?]> = [
    ['map', `${on.repeat(full)}${off.repeat(room - full)}`, tail],
    ['nodes', `${nodes ?? job.workers}`, `  ${job.workers} working, ${format.some(reassigned, 'task')} reassigned`],
    ...(purchase ? [['market', purchaseProgress(purchase)] as [string, string]] : []),
    ...(why === undefined ? [] : [['', '', why] as [string, string, string]]),
    ['estimate', estimate ? `${estimate.replace('±', plusMinus)}${interval}` : unicode ? '…' : '...'],
    ['time', format.span(elapsedMs), left === undefined ? '' : `  ${format.remaining(left, 'about ')}`],
  ]
  return rows.map(([label, strong, weak = '']) => {
    const room = Math.max(10, width - 1)
    const head = `  ${label.padEnd(9)}`
    const plain = `${head}${strong}${weak}`
    if (plain.length > room) return plain.slice(0, room)
    return `${paint('dim', head)}${label === 'map' ? paint('cyan', strong) : paint('bold', strong)}${weak}`
  })
}
