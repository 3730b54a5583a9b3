/**
 * What the parts of the jobs service share: the host's ports, its table of jobs, counters, and how one of its parts
 * speaks to a node, itself included.
 */
import type { Static, TSchema } from 'typebox'
import type { Env, Logger } from '../core/env.ts'
import { ChoraleError, type ErrorCode, errorCode, errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import type { Overlay } from '../dht/overlay.ts'
import type { Registers } from '../dht/registers.ts'
import type { Contact } from '../net/contact.ts'
import type { MessageKind } from '../net/message.ts'
import type { Delivery, Handler, RequestOptions, Transport } from '../net/transport.ts'
import { type Attempt, mergeAlarms } from './alarm.ts'
import { Errands } from './errands.ts'
import { JobTable, type LiveJob, needsFile, type Segment } from './job-table.ts'
import { Loads } from './loads.ts'
import { isLost } from './packed.ts'
import type { Admission, Executor, JobStore, PaidPass, Signer } from './ports.ts'
import { type JobSpec, jobKeyOf } from './spec.ts'
import { Work } from './work.ts'

/** How long an owner that was looked up is taken for granted. Being wrong costs a message: it answers `moved`. */
const OWNER_FRESH_MS = 5_000

/** Errors of an executor that another try may mend. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'io',
  'not-found',
  'no-route',
  'timeout',
  'busy',
  'unreachable',
  'aborted',
])
const TRIES = 6
const PAUSE_MS = 500
/**
 * What a job has kept and nobody has or can make again is looked for so long: whoever has it may have to tell its new owner
 * first.
 */
const LOST_PATIENCE_MS = 60_000
const LOST_PAUSE_MS = 5_000
/** A host that could not run a job's code leaves it to others for so long. */
const REFUSES_MS = 30_000
const MAX_REASON = 400

/** Not the fault of the job's code: another host may be able to. */
export function isHostsFault(error: unknown): boolean {
  const code = errorCode(error)
  return PASSING.has(code) || code === 'unsupported' || code === 'config'
}

const NAMES = [
  'alarms', // two different results for one segment
  'refusedBundles', // too many jobs, or a bundle that makes no sense
  'lostBundles', // no way on, or too many hops
  'foreignGrants', // results for a grant that this host did not give
  'failedRuns', // the job's code failed here
] as const
export type JobCounter = (typeof NAMES)[number]

export interface HostPorts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly registers: Registers
  readonly executor: Executor
  readonly store: JobStore
  readonly signer: Signer
  /** Default: nobody does what is paid for. */
  readonly admission?: Admission
}

type SpecCarrier = { job: string; spec?: Uint8Array }
type SpecReply = { need?: true; ended?: true }

export class JobsHost {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly registers: Registers
  readonly executor: Executor
  readonly store: JobStore
  readonly work: Work
  readonly signer: Signer
  readonly log: Logger
  readonly table: JobTable
  readonly errands: Errands
  readonly loads: Loads
  readonly counters = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<JobCounter, number>
  readonly admission: Admission | undefined
  readonly #stopped = new AbortController()
  /** Under way: sixteen children ask for one parent at the same time. */
  readonly #lookups = new Map<Key, Promise<Contact>>()
  readonly #handlers = new Map<string, Handler<TSchema, TSchema>>()
  /** What their hashes are made of is large. */
  readonly #passes = new WeakMap<JobSpec, PaidPass>()

  constructor(ports: HostPorts) {
    this.env = ports.env
    this.transport = ports.transport
    this.overlay = ports.overlay
    this.registers = ports.registers
    this.executor = ports.executor
    this.store = ports.store
    this.work = new Work(ports.executor, ports.store)
    this.signer = ports.signer
    this.admission = ports.admission
    this.log = ports.env.log.child('jobs')
    this.table = new JobTable(() => this.now())
    this.errands = new Errands(this)
    this.loads = new Loads(ports.transport.peer, ports.env.random.fork('loads'), () => this.now())
  }

  /** Aborts when the service stops. */
  get signal(): AbortSignal {
    return this.#stopped.signal
  }

  halt(): void {
    this.#stopped.abort(new ChoraleError('aborted', 'the host stops'))
  }

  /** Whole milliseconds. */
  now(): number {
    return Math.floor(this.env.clock.now())
  }

  isSelf(contact: Contact): boolean {
    return contact.peer === this.transport.peer
  }

  handle<Q extends TSchema, R extends TSchema>(kind: MessageKind<Q, R>, handler: Handler<Q, R>): void {
    this.#handlers.set(kind.name, handler as unknown as Handler<TSchema, TSchema>)
    this.transport.handle(kind, handler)
  }

  /** A request to a node; to this host itself it does not touch the network. */
  async ask<Q extends TSchema, R extends TSchema>(
    to: Contact,
    kind: MessageKind<Q, R>,
    message: Static<Q>,
    options: RequestOptions = {},
  ): Promise<Static<R>> {
    const signal = options.signal ?? this.signal
    if (!this.isSelf(to)) return this.transport.request(to, kind, message, { ...options, signal })
    const delivery: Delivery = { from: { peer: to.peer, contact: this.overlay.self }, slot: to.slot }
    return (await this.#handlers.get(kind.name)?.(message, delivery)) as Static<R>
  }

  /** A request about a job, with the spec when the other side lacks it. A job that ended there has ended here. */
  async askAbout<Q extends TSchema, R extends TSchema>(
    job: LiveJob,
    to: Contact,
    kind: MessageKind<Q, R>,
    message: Static<Q> & SpecCarrier,
    options: RequestOptions = {},
  ): Promise<Static<R>> {
    const withSpec = { ...message, spec: job.specBytes }
    const knows = job.knownBy.get(to.peer) || this.isSelf(to)
    let reply = (await this.ask(to, kind, knows ? message : withSpec, options)) as Static<R> & SpecReply
    if (reply.need) reply = (await this.ask(to, kind, withSpec, options)) as Static<R> & SpecReply
    job.knownBy.set(to.peer, true)
    if (reply.ended) this.table.end(job.id)
    return reply
  }

  /** The owner of a key that has to do with a job. Rejects as `Overlay.lookup` does. */
  async ownerOf(job: LiveJob, key: Key): Promise<Contact> {
    const self = this.overlay.self
    if (self && this.overlay.owns(key)) return self
    const known = job.owners.get(key)
    if (known && known.untilMs > this.now() && !this.isSelf(known.contact)) return known.contact
    let lookup = this.#lookups.get(key)
    if (!lookup) {
      lookup = this.overlay.lookup(key, { signal: this.signal }).then((route) => route.owner)
      this.#lookups.set(key, lookup)
    }
    try {
      const owner = await lookup
      job.owners.set(key, { contact: owner, untilMs: this.now() + OWNER_FRESH_MS })
      return owner
    } finally {
      this.#lookups.delete(key)
    }
  }

  /**
   * Work of the executor for a job. What goes wrong on this host and not in the job's code (a process could not be
   * started, the code has not been found yet) is tried again a few times; what the job has kept and nobody has, for longer.
   */
  async compute<T>(job: LiveJob, work: () => Promise<T>): Promise<T> {
    let lostUntilMs: number | undefined
    for (let tries = 0; ; ) {
      try {
        return await work()
      } catch (error) {
        const lost = isLost(error)
        if (lost) lostUntilMs ??= this.now() + LOST_PATIENCE_MS
        else if (!PASSING.has(errorCode(error)) || ++tries === TRIES) throw error
        if (lost && this.now() >= lostUntilMs!) throw error
        if (job.ended.signal.aborted || this.signal.aborted) throw error
        this.log.warn('could not run the code of a job', { job: job.id, tries, reason: errorMessage(error) })
        await this.env.clock.sleep(lost ? LOST_PAUSE_MS : PAUSE_MS * tries, { signal: this.signal })
      }
    }
  }

  /**
   * Resolves when it is known where the tasks of a pass are: at the blocks of its input, if it has one. Rejects as the
   * store does, with `bad-message` when the spec says something else of the file, and when the job is over.
   */
  async ready(job: LiveJob): Promise<void> {
    const { input } = job.spec
    if (!input || job.file || !needsFile(job.spec)) return
    const file = await this.compute(job, () => this.store.file(input.cid))
    if (job.ended.signal.aborted) throw new ChoraleError('aborted', 'the job is over')
    if (file.blocks !== input.blocks || file.bytes !== input.bytes) {
      throw new ChoraleError('bad-message', `${input.cid} has ${file.blocks} blocks, the job says ${input.blocks}`)
    }
    job.file = file
  }

  /** May the host with this peer id do tasks of the job? */
  admits({ spec }: LiveJob, peer: string): boolean {
    return spec.contract === undefined || this.admission?.admits(spec.contract, peer, this.#passOf(spec)) === true
  }

  #passOf(spec: JobSpec): PaidPass {
    const known = this.#passes.get(spec) ?? { job: jobKeyOf(spec), isFirst: !spec.stage }
    this.#passes.set(spec, known)
    return known
  }

  /** Does this host do tasks of the job? It may well fold its segments and not. */
  worksOn(job: LiveJob): boolean {
    return job.runsHere && this.admits(job, this.transport.peer)
  }

  /** Finds out whether this host runs a job's code. */
  async assess(job: LiveJob): Promise<boolean> {
    if (job.runsHere || job.refusal !== undefined) return job.runsHere
    const why = await this.executor.refusal(job.spec)
    if (why === undefined) job.runsHere = true
    else this.#refuse(job, why, Number.POSITIVE_INFINITY)
    return job.runsHere
  }

  /** It could not be run here. Others may, and later this host may. */
  leave(job: LiveJob, error: unknown): void {
    this.log.warn('a job is left to others', { job: job.id, reason: errorMessage(error) })
    this.#refuse(job, errorMessage(error), this.now() + REFUSES_MS)
  }

  #refuse(job: LiveJob, why: string, untilMs: number): void {
    job.runsHere = false
    job.refusal = why.slice(0, MAX_REASON)
    job.refusesUntilMs = untilMs
    for (const segment of job.segments.values()) segment.dirty = true // so that the reason goes up
  }

  /** Every second: jobs that may be tried here again. Returns true when there are any. */
  tryAgain(): boolean {
    let any = false
    for (const job of this.table.live.values()) {
      if (job.refusal === undefined || job.refusesUntilMs > this.now()) continue
      job.refusal = undefined
      job.runsHere = any = true
    }
    return any
  }

  /** Two different results: counted and named in what is told of the segment. */
  alarm(segment: Segment, level: number, index: number, attempts: Attempt[]): void {
    const { job } = segment
    segment.alarms++
    segment.named = mergeAlarms(segment.named, [{ level, index, attempts }])
    this.counters.alarms++
    this.log.warn('two different results for one segment: a host lies, or the job is not deterministic', {
      job: job.id,
      level,
      index,
      attempts: attempts.map(({ digest, host }) => `${digest} by ${host}`).join(', '),
    })
  }
}
