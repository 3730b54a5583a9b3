/**
 * The last lines of the jobs that this host coordinates, in memory: what is lost with the host can be had again by doing
 * the task again (`chorale job replay`).
 */
import { MAX_KNOWN_PEERS, MAX_LOG_CHARS, MAX_LOG_LINES, MAX_LOGGING_JOBS } from '../core/limits.ts'
import type { RegisterKind } from '../dht/registers.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { JobsHost } from './host.ts'
import { JobLog, JobLogRead, type KeptLine, MAX_BATCH, MAX_PAUSE_MS } from './log-messages.ts'
import { type JobRecord, terminalState } from './record.ts'
import { jobKey } from './spec.ts'

/** Logs that nobody has added to for so long are forgotten. */
const FORGET_MS = 3_600_000
/** Senders are counted for so long. */
const COUNT_MS = 5_000
/** So many senders may be heard a second, and none of them more often than this. */
const BATCHES_PER_SECOND = 64
const LEAST_PAUSE_MS = 250
/** After the end of a job, so long for the last lines to come. Clocks differ. */
const GRACE_MS = 60_000
/** Lost lines are counted up to here, which leaves numbers for those that follow. */
const MAX_SEQ = 2 ** 52

interface Log {
  /** Tells this log from those of other keepers, and of this host before it was started again. */
  readonly name: string
  readonly lines: KeptLine[]
  chars: number
  seq: number
  touchedAtMs: number
  /** The last batch of each sender. */
  readonly batches: CappedMap<string, number>
}

export class LogKeeper {
  readonly #host: JobsHost
  readonly #kind: RegisterKind<JobRecord>
  /** Touched last is last. */
  readonly #logs = new Map<string, Log>()
  #senders = { now: new Set<string>(), before: 0, sinceMs: 0 }

  constructor(host: JobsHost, kind: RegisterKind<JobRecord>) {
    this.#host = host
    this.#kind = kind
  }

  start(): void {
    const host = this.#host
    host.handle(JobLog, ({ job, batch, lines, lost }, { from }) => {
      const record = this.#record(job)
      if (!record || !host.overlay.owns(jobKey(job))) return { moved: true as const, pauseMs: 0 }
      if (overAtMs(record) + GRACE_MS < host.now()) return { pauseMs: MAX_PAUSE_MS }
      const log = this.#open(job)
      const pauseMs = this.#pauseMs(from.peer)
      if ((log.batches.get(from.peer) ?? -1) >= batch) return { pauseMs }
      log.batches.set(from.peer, batch)
      if (log.seq + lost < MAX_SEQ) log.seq += lost
      const atMs = host.now()
      for (const { task, text } of lines) {
        log.lines.push({ seq: ++log.seq, task, host: from.peer, text, atMs })
        log.chars += text.length
      }
      while (log.lines.length > MAX_LOG_LINES || log.chars > MAX_LOG_CHARS) log.chars -= log.lines.shift()!.text.length
      return { pauseMs }
    })
    host.handle(JobLogRead, ({ job, keeper, after, task }) => {
      const nothing = { keeper: '', lines: [], more: false, over: false }
      const record = this.#record(job)
      if (!record || !host.overlay.owns(jobKey(job))) return { ...nothing, moved: true as const }
      const over = terminalState(record) !== undefined
      const log = this.#logs.get(job)
      if (!log) return { ...nothing, over }
      const from = keeper === log.name ? after : 0
      const found = log.lines.filter((line) => line.seq > from && (task === undefined || line.task === task))
      const lines = fitting(found)
      return { keeper: log.name, lines, more: lines.length < found.length, over }
    })
  }

  /** Now and then: what nobody adds to any more goes. */
  inspect(): void {
    const before = this.#host.now() - FORGET_MS
    for (const [job, log] of this.#logs) {
      if (log.touchedAtMs > before && this.#logs.size <= MAX_LOGGING_JOBS) return
      this.#logs.delete(job)
    }
  }

  #record(job: string): JobRecord | undefined {
    return this.#host.registers.local(this.#kind, jobKey(job))
  }

  #open(job: string): Log {
    const now = this.#host.now()
    const log: Log = this.#logs.get(job) ?? {
      name: `${this.#host.transport.peer}|${now}`,
      lines: [],
      chars: 0,
      seq: 0,
      touchedAtMs: now,
      batches: new CappedMap(MAX_KNOWN_PEERS),
    }
    log.touchedAtMs = now
    this.#logs.delete(job)
    this.#logs.set(job, log)
    if (this.#logs.size > MAX_LOGGING_JOBS) this.inspect()
    return log
  }

  /** The more there are who send, the longer each of them waits. */
  #pauseMs(peer: string): number {
    const senders = this.#senders
    const now = this.#host.now()
    if (senders.sinceMs + COUNT_MS <= now) this.#senders = { now: new Set(), before: senders.now.size, sinceMs: now }
    this.#senders.now.add(peer)
    const count = Math.max(this.#senders.now.size, this.#senders.before)
    return Math.min(MAX_PAUSE_MS, Math.max(LEAST_PAUSE_MS, Math.ceil((count * 1000) / BATCHES_PER_SECOND)))
  }
}

function overAtMs({ end, control }: JobRecord): number {
  return end?.atMs ?? control?.atMs ?? Number.POSITIVE_INFINITY
}

/** The first of them, as many as a message holds. */
function fitting(lines: readonly KeptLine[]): KeptLine[] {
  let chars = 0
  let count = 0
  for (const { text, host } of lines) {
    chars += text.length + host.length
    if (count === MAX_BATCH.lines || (count > 0 && chars > MAX_BATCH.chars)) break
    count++
  }
  return lines.slice(0, count)
}
