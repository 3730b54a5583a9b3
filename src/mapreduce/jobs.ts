/** The facade that users, the command line and the API talk to: `Jobs` of types.ts. */
import { decode } from '../core/cbor.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import type { RegisterKind } from '../dht/registers.ts'
import type { Contact } from '../net/contact.ts'
import type { Coordinator } from './coordinator.ts'
import type { JobsHost } from './host.ts'
import { JobLogRead } from './log-messages.ts'
import { JobWatch } from './messages.ts'
import { isOwnJob, ownNonce, plainNonce } from './own-job.ts'
import { placeOf } from './place.ts'
import type { FileSize } from './ports.ts'
import {
  controlBytes,
  currentSpec,
  isTerminal,
  type JobRecord,
  type jobRecords,
  newRecord,
  terminalState,
} from './record.ts'
import { encodeSpec, type JobSpec, jobIdOf, jobKey, jobKeyOf, parseSpec, specOf } from './spec.ts'
import type { JobLogLine, JobPlacement, JobRequest, Jobs, JobView, PlannedJob } from './types.ts'
import { viewOf, views } from './view.ts'

/** Short, because a reply that gets lost is noticed only after it. */
const WATCH_WAIT_MS = 1_500
const WATCH_GRACE_MS = 1_000
const WATCH_PAUSE_MS = 200
/** A job that was seen and that nobody knows any more is waited for so long: its key may be changing hands. */
const MISSING_FOR_MS = 60_000
const SHOW_TRIES = 10
/** Whoever asks once does not want to wait until the last of the tries has run out of time. */
const SHOW_PATIENCE_MS = 8_000
/** Between two looks at a log that is followed; after the end of its job, so long for the last lines to come. */
const LOG_EVERY_MS = 400
const LOG_GRACE_MS = 1_500
const MAX_SUBMITTED = 1_024
const MAX_LISTED = 256

interface Options {
  readonly signal?: AbortSignal | undefined
}

export class JobsFacade implements Jobs {
  readonly #host: JobsHost
  readonly #coordinator: Coordinator
  readonly #kind: RegisterKind<JobRecord>
  readonly #submitted: string[] = []

  constructor(host: JobsHost, coordinator: Coordinator, kind: ReturnType<typeof jobRecords>) {
    this.#host = host
    this.#coordinator = coordinator
    this.#kind = kind
  }

  async submit(request: JobRequest, options: Options = {}): Promise<JobView> {
    if (!Number.isSafeInteger(request.seed)) {
      throw new ChoraleError('usage', `the seed must be an integer between -2^53 and 2^53, not ${request.seed}`)
    }
    const { executor, store } = this.#host
    const input = sizeOf(request.input === undefined ? undefined : await store.file(request.input))
    const plan = await executor.plan(request.module, request.params, input)
    const spec = specOf(request, plan, input, this.#stamp(request.module))
    return this.#register(request.paid ? this.#contracted(spec) : spec, options)
  }

  /** Of one pass: a task is paid once, by its number. */
  #contracted(spec: JobSpec): JobSpec {
    const { admission } = this.#host
    if (!admission) throw new ChoraleError('unsupported', 'this host has no market: submit the job without a cap')
    if (spec.rounds || spec.partitions) {
      throw new ChoraleError(
        'usage',
        'a job of several passes cannot be paid for through the market: submit it without a cap',
      )
    }
    return { ...spec, contract: admission.contractOf(jobKeyOf(spec)) }
  }

  /** What tells a submission from every other one. */
  #stamp(module: string): Pick<JobSpec, 'submitter' | 'nonce' | 'submittedAtMs'> {
    const { signer, env } = this.#host
    const nonce = ownNonce(signer, module, env.random)
    return { submitter: signer.peer, nonce, submittedAtMs: this.#host.now() }
  }

  async #register(spec: JobSpec, options: Options): Promise<JobView> {
    const bytes = encodeSpec(spec)
    const id = jobIdOf(bytes)
    this.#submitted.push(id)
    if (this.#submitted.length > MAX_SUBMITTED) this.#submitted.shift()
    const signal = options.signal ?? this.#host.signal
    return viewOf(await this.#host.registers.update(this.#kind, jobKey(id), newRecord(bytes), { signal }))
  }

  async spec(id: string, options: Options = {}): Promise<JobSpec | undefined> {
    const signal = options.signal ?? this.#host.signal
    const record = await this.#host.registers.read(this.#kind, jobKey(id), { signal })
    return record && currentSpec(parseSpec(id, record.spec), record)
  }

  async isOwn(id: string, options: Options = {}): Promise<boolean> {
    const signal = options.signal ?? this.#host.signal
    const record = await this.#host.registers.read(this.#kind, jobKey(id), { signal })
    return record !== undefined && isOwnJob(this.#host.signer, parseSpec(id, record.spec))
  }

  async retry(id: string, options: Options & { asOwn?: boolean | undefined } = {}): Promise<JobView> {
    const signal = options.signal ?? this.#host.signal
    const record = await this.#host.registers.read(this.#kind, jobKey(id), { signal })
    if (!record) throw notFound(id)
    const state = terminalState(record)
    if (!state) throw new ChoraleError('usage', `the job has not ended: cancel it first, or wait for it`)
    if (state === 'succeeded') throw new ChoraleError('usage', `the job has succeeded: see "chorale job result"`)
    const spec = parseSpec(id, record.spec)
    if (spec.contract)
      throw new ChoraleError('usage', 'the job was paid for: submit it once more, with a cap on its cost')
    const stamp = this.#stamp(spec.module)
    // To sign the code of others as one's own would have them in wherever one's own code runs.
    const own = options.asOwn || isOwnJob(this.#host.signer, spec)
    return this.#register({ ...spec, ...stamp, ...(!own && { nonce: plainNonce(this.#host.env.random) }) }, options)
  }

  async place({ request, plan }: PlannedJob, options: Options = {}): Promise<JobPlacement> {
    const file = request.input === undefined ? undefined : await this.#host.store.file(request.input)
    const spec = specOf(request, plan, sizeOf(file), this.#stamp(request.module))
    return placeOf(this.#host, spec, file, options.signal ?? this.#host.signal)
  }

  async *logs(
    id: string,
    { task, follow = false, signal: given }: Options & { task?: number | undefined; follow?: boolean } = {},
  ): AsyncGenerator<JobLogLine> {
    const signal = given ?? this.#host.signal
    let keeper = ''
    let after = 0
    let overAtMs: number | undefined
    let answeredAtMs = this.#host.now()
    for (;;) {
      const of = { keeper, after, ...(task !== undefined && { task }) }
      const reply = await this.#readLog(id, of, signal)
      const now = this.#host.now()
      if (reply) {
        answeredAtMs = now
        if (reply.keeper !== '') keeper = reply.keeper
        yield* reply.lines
        after = reply.lines.at(-1)?.seq ?? after
        if (reply.more && reply.lines.length > 0) continue
        if (reply.over) overAtMs ??= now
        if (!follow || (overAtMs !== undefined && now - overAtMs >= LOG_GRACE_MS)) return
      } else if (now - answeredAtMs > SHOW_PATIENCE_MS) {
        // Nobody who owns the job's key has its record.
        const view = await this.show(id, { signal })
        if (!view) throw notFound(id)
        if (!follow || isTerminal(view.state)) {
          throw new ChoraleError('no-route', `the host that keeps the log of the job ${id} does not tell it: try again`)
        }
        answeredAtMs = now
      }
      await this.#host.env.clock.sleep(LOG_EVERY_MS, { signal })
    }
  }

  /** Undefined: whoever should know does not answer, or not yet. */
  async #readLog(id: string, of: { keeper: string; after: number; task?: number }, signal: AbortSignal) {
    try {
      const reply = await this.#host.ask(
        await this.#coordinatorOf(id, signal),
        JobLogRead,
        { job: id, ...of },
        { signal },
      )
      return reply.moved ? undefined : reply
    } catch (error) {
      if (signal.aborted || this.#host.signal.aborted) throw error
      return undefined
    }
  }

  async list(): Promise<JobView[]> {
    const ids = new Set([...this.#submitted, ...this.#host.table.live.values().map(({ root }) => root)])
    for (const [, record] of this.#host.registers.entries(this.#kind)) ids.add(jobIdOf(record.spec))
    const shown = await Promise.all(
      [...ids].slice(-MAX_LISTED).map(async (id) => {
        const local = this.#coordinator.view(id)
        if (local && isTerminal(local.state)) return local
        return this.show(id).catch(() => local)
      }),
    )
    const known = shown.filter((view) => view !== undefined)
    return known.sort((a, b) => b.submittedAtMs - a.submittedAtMs || (a.id < b.id ? -1 : 1))
  }

  async show(id: string, options: Options = {}): Promise<JobView | undefined> {
    const untilMs = this.#host.now() + SHOW_PATIENCE_MS
    for (let tries = 1; ; tries++) {
      let cause: unknown
      const answer = await this.#ask(id, '', 0, options.signal).catch((error) => {
        if (options.signal?.aborted || errorCode(error) === 'aborted') throw error
        cause = error
        return undefined
      })
      if (answer && answer !== 'moved') return answer.view
      if (tries >= SHOW_TRIES || this.#host.now() >= untilMs) {
        throw new ChoraleError('no-route', `no host answers for the job ${id}: try again`, { cause })
      }
      await this.#host.env.clock.sleep(WATCH_PAUSE_MS, { signal: options.signal ?? this.#host.signal })
    }
  }

  async *watch(id: string, options: Options = {}): AsyncGenerator<JobView> {
    const signal = options.signal ?? this.#host.signal
    let last: JobView | undefined
    let seen = ''
    let seenAtMs = this.#host.now()
    for (;;) {
      const answer = await this.#ask(id, seen, WATCH_WAIT_MS, signal).catch((error) => {
        if (signal.aborted || this.#host.signal.aborted) throw error
        return undefined
      })
      const found = answer && answer !== 'moved' ? answer : undefined
      if (found?.view) {
        seenAtMs = this.#host.now()
        seen = found.digest
        last = forward(last, found.view)
        yield last
        if (isTerminal(last.state)) return
        continue
      }
      if (found && found.digest === seen && seen !== '') {
        seenAtMs = this.#host.now()
        continue // nothing new
      }
      seen = ''
      if (found && !last) throw notFound(id)
      if (this.#host.now() - seenAtMs > MISSING_FOR_MS)
        throw last ? lost(id) : new ChoraleError('no-route', `no host answers for the job ${id}`)
      await this.#host.env.clock.sleep(WATCH_PAUSE_MS, { signal })
    }
  }

  async cancel(id: string): Promise<JobView> {
    const record = await this.#host.registers.read(this.#kind, jobKey(id), { signal: this.#host.signal })
    if (!record) throw notFound(id)
    if (terminalState(record)) return viewOf(record)
    const view = viewOf(record)
    const { signer } = this.#host
    if (view.submitter !== signer.peer) {
      throw new ChoraleError('auth', `only the host that submitted the job may cancel it: ${view.submitter}`)
    }
    const control = { seq: (record.control?.seq ?? 0) + 1, action: 'cancel' as const, atMs: this.#host.now() }
    const signature = signer.sign(controlBytes(id, control))
    const change = { ...newRecord(record.spec), control: { ...control, signature } }
    return viewOf(await this.#host.registers.update(this.#kind, jobKey(id), change, { signal: this.#host.signal }))
  }

  async #coordinatorOf(id: string, signal: AbortSignal): Promise<Contact> {
    const { overlay } = this.#host
    const key = jobKey(id)
    return overlay.self && overlay.owns(key) ? overlay.self : (await overlay.lookup(key, { signal })).owner
  }

  /** The owner of the job's key answers when it has another view than the one seen, or after a while. */
  async #ask(
    id: string,
    seen: string,
    waitMs: number,
    parent: AbortSignal | undefined,
  ): Promise<{ view: JobView | undefined; digest: string } | 'moved'> {
    const signal = parent ?? this.#host.signal
    const owner = await this.#coordinatorOf(id, signal)
    const options = { signal, ...(waitMs > 0 && { timeoutMs: waitMs + WATCH_GRACE_MS }) }
    const reply = await this.#host.ask(owner, JobWatch, { job: id, seen, waitMs }, options)
    if (reply.moved) return 'moved'
    return { view: reply.view && views.parse(decode(reply.view)), digest: reply.digest }
  }
}

function sizeOf(file: FileSize | undefined): FileSize | undefined {
  return file && { cid: file.cid, bytes: file.bytes, blocks: file.blocks }
}

/** What has been shown does not go back when the job gets another coordinator. */
function forward(last: JobView | undefined, next: JobView): JobView {
  if (!last || isTerminal(next.state)) return next
  return {
    ...next,
    state: last.state === 'running' ? 'running' : next.state,
    workers: Math.max(last.workers, next.workers),
    tasks: {
      ...next.tasks,
      total: Math.max(last.tasks.total, next.tasks.total),
      done: Math.max(last.tasks.done, next.tasks.done),
      reassigned: Math.max(last.tasks.reassigned, next.tasks.reassigned),
    },
  }
}

function notFound(id: string): ChoraleError {
  return new ChoraleError('not-found', `nobody knows a job ${id}: see "chorale job list"`)
}

function lost(id: string): ChoraleError {
  return new ChoraleError('no-route', `the job ${id} can no longer be found: all hosts that kept its record are gone`)
}
