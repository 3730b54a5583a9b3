/**
 * Folds and ends of jobs whose code this host does not run itself (`Executor.refusal`): they are asked of a host that does.
 * Those that brought results are asked first, then the replica group and the neighbours; who does not run it either
 * names others. As long as nobody is found, the job waits and says why.
 */
import { Type } from 'typebox'
import { decode, encode } from '../core/cbor.ts'
import { checker } from '../core/codec.ts'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_CARRY_BYTES, MAX_JOB_VALUE_BYTES, MAX_ROUNDS } from '../core/limits.ts'
import type { Contact } from '../net/contact.ts'
import { BytesSchema, record } from '../net/message.ts'
import { Coming } from './coming.ts'
import { inFrames } from './frames.ts'
import { isHostsFault, type JobsHost } from './host.ts'
import { type LiveJob, noteAble } from './job-table.ts'
import { JobErrand, MAX_OTHERS } from './messages.ts'
import { jobKey } from './spec.ts'
import type { Json } from './types.ts'
import type { After } from './work.ts'

/** A fold may take half a minute, and wait for its turn. */
const TIMEOUT_MS = 60_000
const PAUSE_MS = 1_000
/** Hosts that are asked in one go. */
const MAX_ASKED = 32

type Errand = 'fold' | 'after'

const afters = checker(
  Type.Unsafe<After>(
    Type.Union([
      record({ value: Type.Unsafe<Json>(Type.Unknown()) }),
      record({
        stage: record({
          number: Type.Integer({ minimum: 1, maximum: MAX_ROUNDS }),
          reduce: Type.Optional(Type.Literal(true)),
          carry: BytesSchema(MAX_CARRY_BYTES),
        }),
      }),
    ]),
  ),
)

export class Errands {
  readonly #host: JobsHost
  readonly #coming = new Coming()
  /** The number of the last errand; later ones are greater, also after a restart. */
  #errands = 0

  constructor(host: JobsHost) {
    this.#host = host
  }

  start(): void {
    this.#host.handle(JobErrand, async ({ job: id, spec, work, errand, at, of, parts }, { from }) => {
      const job = this.#host.table.open(id, spec)
      if (job === 'need') return { need: true as const, others: [] }
      if (job === 'ended') return { ended: true as const, others: [] }
      if (!(await this.#host.assess(job))) return { refused: true as const, others: able(job).slice(0, MAX_OTHERS) }
      const all = this.#coming.take(`${from.peer}|${id}|${errand}`, at, of, parts, this.#host.now())
      if (!all) return { others: [] }
      try {
        return { bytes: await this.#here(job, work, all), others: [] }
      } catch (error) {
        if (!['user-code', 'usage', 'limit'].includes(errorCode(error))) throw error
        return { failure: errorMessage(error).slice(0, 500), others: [] }
      }
    })
  }

  /** As `Work.fold`. `key`: whose replica group may help; `onWait` hears why it takes long. */
  fold(job: LiveJob, key: Key, parts: readonly Uint8Array[], onWait: (why: string) => void): Promise<Uint8Array> {
    return this.#do(job, 'fold', key, parts, onWait)
  }

  /** As `Work.after`. */
  async after(job: LiveJob, total: Uint8Array, onWait: (why: string) => void): Promise<After> {
    return afters.parse(decode(await this.#do(job, 'after', jobKey(job.root), [total], onWait)))
  }

  async #do(job: LiveJob, work: Errand, key: Key, parts: readonly Uint8Array[], onWait: (why: string) => void) {
    while (!job.ended.signal.aborted && !this.#host.signal.aborted) {
      if (await this.#host.assess(job)) {
        try {
          return await this.#here(job, work, parts)
        } catch (error) {
          if (!isHostsFault(error) || job.ended.signal.aborted || this.#host.signal.aborted) throw error
          this.#host.leave(job, error)
        }
      }
      const bytes = await this.#elsewhere(job, work, key, parts)
      if (bytes) return bytes
      onWait(`no host that was asked can ${work === 'fold' ? 'fold' : 'finish'} it: ${job.refusal}`)
      await this.#host.env.clock.sleep(PAUSE_MS, { signal: this.#host.signal })
    }
    throw new ChoraleError('aborted', 'the job is over')
  }

  #here(job: LiveJob, work: Errand, parts: readonly Uint8Array[]): Promise<Uint8Array> {
    const options = { signal: job.ended.signal }
    return this.#host.compute(job, async () => {
      if (work === 'fold') return this.#host.work.fold(job.spec, parts, options)
      const after = await this.#host.work.after(job.spec, parts[0] as Uint8Array, options)
      const bytes = 'value' in after ? encode(after.value).length : 0
      if (bytes <= MAX_JOB_VALUE_BYTES) return encode(after)
      throw new ChoraleError('limit', `the job's value has ${bytes} bytes, the most is ${MAX_JOB_VALUE_BYTES}`)
    })
  }

  /** Undefined: nobody does it now. Rejects with `user-code` when the job's code failed there. */
  async #elsewhere(
    job: LiveJob,
    work: Errand,
    key: Key,
    parts: readonly Uint8Array[],
  ): Promise<Uint8Array | undefined> {
    const { overlay } = this.#host
    const asked = new Set<string>()
    const hosts = [...able(job), ...overlay.replicas(key), ...overlay.neighbours()]
    for (let to = hosts.shift(); to && asked.size < MAX_ASKED; to = hosts.shift()) {
      if (this.#host.isSelf(to) || asked.has(to.peer)) continue
      asked.add(to.peer)
      try {
        const { failure, bytes, others } = await this.#ask(job, to, work, parts)
        if (failure !== undefined) throw new ChoraleError('user-code', failure)
        if (bytes) {
          noteAble(job, to)
          return bytes
        }
        hosts.unshift(...others)
      } catch (error) {
        if (errorCode(error) === 'user-code' || job.ended.signal.aborted) throw error
        this.#host.log.debug('an errand was not done', { job: job.id, reason: errorMessage(error) })
      }
    }
    return undefined
  }

  async #ask(job: LiveJob, to: Contact, work: Errand, parts: readonly Uint8Array[]) {
    const errand = Math.max(this.#errands + 1, this.#host.now())
    this.#errands = errand
    const frames = inFrames(parts, (part) => 8 + part.length)
    const last = frames.pop() ?? []
    let at = 0
    for (const frame of frames) {
      const message = { job: job.id, work, errand, at, of: parts.length, parts: frame }
      const reply = await this.#host.askAbout(job, to, JobErrand, message)
      if (reply.refused) return reply
      at += frame.length
    }
    const message = { job: job.id, work, errand, at, of: parts.length, parts: last }
    return await this.#host.askAbout(job, to, JobErrand, message, { timeoutMs: TIMEOUT_MS })
  }
}

function able(job: LiveJob): Contact[] {
  return [...job.able.values()]
}
