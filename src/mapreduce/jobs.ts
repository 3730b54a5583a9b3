/** The facade that users, the command line and the API talk to: `Jobs` of types.ts. */
import { decode } from '../core/cbor.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import type { RegisterKind } from '../dht/registers.ts'
import type { Contact } from '../net/contact.ts'
import type { Coordinator } from './coordinator.ts'
import type { JobsHost } from './host.ts'
import { JobWatch } from './messages.ts'
import { controlBytes, isTerminal, type JobRecord, type jobRecords, newRecord, terminalState } from './record.ts'
import { encodeSpec, jobIdOf, jobKey, specOf } from './spec.ts'
import type { JobRequest, Jobs, JobView } from './types.ts'
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
    const { executor, store, signer, env } = this.#host
    const file = request.input === undefined ? undefined : await store.file(request.input)
    const input = file && { cid: file.cid, bytes: file.bytes, blocks: file.blocks }
    const plan = await executor.plan(request.module, request.params, input)
    const spec = specOf(request, plan, input, {
      submitter: signer.peer,
      nonce: Buffer.from(env.random.bytes(16)).toString('hex'),
      submittedAtMs: this.#host.now(),
    })
    const bytes = encodeSpec(spec)
    const id = jobIdOf(bytes)
    this.#submitted.push(id)
    if (this.#submitted.length > MAX_SUBMITTED) this.#submitted.shift()
    const signal = options.signal ?? this.#host.signal
    return viewOf(await this.#host.registers.update(this.#kind, jobKey(id), newRecord(bytes), { signal }))
  }

  async list(): Promise<JobView[]> {
    const ids = new Set([...this.#submitted, ...this.#host.table.live.keys()])
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

  /** The owner of the job's key answers when it has another view than the one seen, or after a while. */
  async #ask(
    id: string,
    seen: string,
    waitMs: number,
    parent: AbortSignal | undefined,
  ): Promise<{ view: JobView | undefined; digest: string } | 'moved'> {
    const signal = parent ?? this.#host.signal
    const key = jobKey(id)
    const self = this.#host.overlay.self
    const owned = self && this.#host.overlay.owns(key)
    const owner: Contact = owned ? self : (await this.#host.overlay.lookup(key, { signal })).owner
    const options = { signal, ...(waitMs > 0 && { timeoutMs: waitMs + WATCH_GRACE_MS }) }
    const reply = await this.#host.ask(owner, JobWatch, { job: id, seen, waitMs }, options)
    if (reply.moved) return 'moved'
    return { view: reply.view && views.parse(decode(reply.view)), digest: reply.digest }
  }
}

/** What has been shown does not go back when the job gets another coordinator. */
function forward(last: JobView | undefined, next: JobView): JobView {
  if (!last || isTerminal(next.state)) return next
  return {
    ...next,
    state: last.state === 'running' ? 'running' : next.state,
    workers: Math.max(last.workers, next.workers),
    tasks: {
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
