/**
 * What is computed for a job, from what travels to what travels: brings the tasks' inputs, runs the code, and keeps in
 * the store what is too large. The same on a host of the overlay and on one machine alone.
 */
import { Type } from 'typebox'
import { decode, encode } from '../core/cbor.ts'
import { checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import {
  MAX_CARRY_BYTES,
  MAX_JOB_TASKS,
  MAX_KEYED_BYTES,
  MAX_PARTIAL_BYTES,
  MAX_PARTITIONS,
  MAX_RESULT_BYTES,
  MAX_ROUNDS,
} from '../core/limits.ts'
import { BytesSchema, record } from '../net/message.ts'
import { taskInput } from './input.ts'
import { isLost, kept, pack, unpack } from './packed.ts'
import type { Emitted, Written } from './pairs.ts'
import type { Executor, JobStore, RunOptions, RunResult, TaskRun } from './ports.ts'
import { tasksOfMask } from './segments.ts'
import { type JobSpec, rootSpec, type Stage } from './spec.ts'
import type { Json } from './types.ts'

/** What follows the total of a stage. */
export type After = { readonly value: Json } | { readonly stage: Pick<Stage, 'number' | 'reduce' | 'carry'> }

interface Options {
  readonly signal: AbortSignal
}

type Tasks = Pick<TaskRun, 'spec' | 'segment' | 'mask'>

/** What a keyed task emits travels with its partial up to here, and is kept as blocks beyond. */
const INLINE_RUNS_BYTES = 8 * 1024
/** More runs of one partition are merged where they meet, if they are so small that they are better read together. */
const MAX_RUNS = 64
const SMALL_RUN_BYTES = 64 * 1024
/** Runs of one partition that a list may name, and what the lists of all partitions may have together. */
const MAX_LISTED = 16_384
const MAX_LIST_BYTES = 8 * 1024 * 1024
/** Tasks that are done again, at most, for a run that is lost: one, or more when it was merged of theirs. */
const MAX_REDONE = 1024
/** Blocks that are fetched or put at once, for one task. */
const WINDOW = 8

const Bytes = Type.Integer({ minimum: 1, maximum: MAX_KEYED_BYTES })
const Cid = Type.String({ maxLength: 128 })
const Task = Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS - 1 })
/** In line, or kept; and of which tasks, the first and the last. */
const RunSchema = Type.Tuple([Type.Union([BytesSchema(INLINE_RUNS_BYTES), Type.Tuple([Cid, Bytes])]), Task, Task])
type Run = [what: Uint8Array | [cid: string, bytes: number], first: number, last: number]
/** The partial of a keyed job's map: for each partition its runs, in the order of tasks. */
const mapped = checker(Type.Array(Type.Array(RunSchema, { maxItems: MAX_LISTED }), { maxItems: MAX_PARTITIONS }))
type Runs = Run[][]

/** The partial of its reduce: leaves of the output, in order. */
const reduced = checker(
  record({
    keys: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    leaves: Type.Array(Type.Tuple([Cid, Bytes])),
  }),
)

export class Work {
  readonly #executor: Executor
  readonly #store: JobStore

  constructor(executor: Executor, store: JobStore) {
    this.#executor = executor
    this.#store = store
  }

  /** Partials are up to MAX_PARTIAL_BYTES. Rejects as the executor and the store do. */
  async run(what: Tasks, options: RunOptions): Promise<RunResult> {
    const { spec, segment } = what
    const { partials, tookMs } = await this.make(what, options)
    const kept = await inTurn(partials, async (partial) => ({
      ...partial,
      bytes: await this.#kept(spec, segment, partial.bytes, options),
    }))
    return { partials: kept, tookMs }
  }

  /** What the executor makes of them: nothing of it is kept. Rejects as `run` does. */
  async make({ spec, segment, mask }: Tasks, options: RunOptions): Promise<RunResult> {
    const given = await this.#given(spec, tasksOfMask(spec, segment, mask), options)
    return this.#executor.run({ spec, segment, mask, ...given }, options)
  }

  /** Folds partials in the order given. */
  async fold(spec: JobSpec, partials: readonly Uint8Array[], options: Options): Promise<Uint8Array> {
    const opened = await inTurn(partials, (partial) => this.#unpack(spec, partial, options))
    if (spec.stage?.reduce) return this.#packed(encode(joinLeaves(opened)), options)
    if (spec.partitions === undefined) return this.#packed(await this.#executor.fold(spec, opened), options)
    const lists = opened.map((bytes) => mapped.parse(decode(bytes)) as Runs)
    const runs: Runs = []
    for (let partition = 0; partition < spec.partitions; partition++) {
      const all = lists.flatMap((list) => list[partition] ?? [])
      runs.push(await this.#fewer(spec, partition, all, options))
    }
    return this.#packed(encode(runs), options)
  }

  /** A partial of a pass that maps: its bytes, or all its runs. */
  async open(spec: JobSpec, partial: Uint8Array, options: Options): Promise<Uint8Array[]> {
    const bytes = await this.#unpack(spec, partial, options)
    if (spec.partitions === undefined) return [bytes]
    const lists = mapped.parse(decode(bytes)) as Runs
    const opened = await inTurn(lists, (runs, partition) => this.#read(spec, partition, runs, options))
    return opened.flat()
  }

  /** What a total, or what there is of it, is worth. */
  async finish(spec: JobSpec, total: Uint8Array, options: Options): Promise<Json> {
    return this.#executor.finish(spec, await this.#unpack(spec, total, options), await this.#state(spec, options))
  }

  /** What the total of a stage leads to: the job's value, or the next stage. */
  async after(spec: JobSpec, total: Uint8Array, options: Options): Promise<After> {
    const number = (spec.stage?.number ?? 0) + 1
    const carried = (bytes: Uint8Array) => pack(this.#store, bytes, MAX_CARRY_BYTES, options)
    const opened = await this.#unpack(spec, total, options)
    if (spec.stage?.reduce) return { value: await this.#output(spec, opened, options) }
    if (spec.partitions !== undefined) return { stage: { number, reduce: true, carry: await carried(opened) } }
    const state = await this.#state(spec, options)
    const next = spec.rounds && (await this.#executor.next(spec, opened, state))
    if (next && number > MAX_ROUNDS) throw new ChoraleError('limit', `a job has at most ${MAX_ROUNDS} rounds`)
    if (next) return { stage: { number, carry: await carried(next) } }
    return { value: await this.#executor.finish(spec, opened, state) }
  }

  async #given(spec: JobSpec, tasks: readonly number[], options: Options): Promise<Pick<TaskRun, 'inputs' | 'state'>> {
    const { input, stage } = spec
    if (stage?.reduce) return { inputs: await inTurn(tasks, (task) => this.#partition(spec, task, options)) }
    const file = input && (await this.#store.file(input.cid))
    const inputs = file && (await inTurn(tasks, (task) => taskInput(file, input, task, options)))
    const state = await this.#state(spec, options)
    return { ...(inputs && { inputs }), ...(state && { state }) }
  }

  async #state({ rounds, stage }: JobSpec, options: Options): Promise<Uint8Array | undefined> {
    return rounds && stage && unpack(this.#store, stage.carry, MAX_RESULT_BYTES, options)
  }

  /** What a partition is made of: dag-cbor of its runs. */
  async #partition(spec: JobSpec, partition: number, options: Options): Promise<Uint8Array> {
    const lists = mapped.parse(decode(await unpack(this.#store, spec.stage!.carry, MAX_LIST_BYTES, options))) as Runs
    const runs = lists[partition] ?? []
    if (sizeOf(runs) > MAX_KEYED_BYTES) {
      throw new ChoraleError(
        'limit',
        `partition ${partition} has ${sizeOf(runs)} bytes of keys and values, the most is ${MAX_KEYED_BYTES}: use more partitions`,
      )
    }
    return encode(await this.#read(spec, partition, runs, options))
  }

  async #output(spec: JobSpec, total: Uint8Array, options: Options): Promise<Json> {
    const { keys, leaves } = reduced.parse(decode(total))
    const bytes = leaves.reduce((sum, [, size]) => sum + size, 0)
    const output = await this.#store.join(
      leaves.map(([cid, size]) => ({ cid, bytes: size })),
      options,
    )
    return this.#executor.finish(spec, encode({ output, bytes, keys }))
  }

  /** `segment`: the task, of a keyed job. */
  async #kept(spec: JobSpec, segment: number, bytes: Uint8Array, options: Options): Promise<Uint8Array> {
    if (spec.stage?.reduce) {
      const { keys, pieces } = decode(bytes) as Written
      const leaves = await inTurn(pieces, async (piece): Promise<[string, number]> => {
        return [await this.#store.put(piece, { ...options, output: true }), piece.length]
      })
      return this.#packed(encode({ keys, leaves }), options)
    }
    if (spec.partitions === undefined) return this.#packed(bytes, options)
    const emitted = decode(bytes) as Emitted
    const inline = bytes.length <= INLINE_RUNS_BYTES
    const lists = await inTurn(emitted, async (runs): Promise<Run[]> => {
      return inline ? runs.map((run) => [run, segment, segment]) : this.#keep(runs, segment, segment, options)
    })
    return inline ? encode(lists) : this.#packed(encode(lists), options)
  }

  async #fewer(spec: JobSpec, partition: number, runs: Run[], options: Options): Promise<Run[]> {
    const bytes = sizeOf(runs)
    if (runs.length <= MAX_RUNS || bytes > Math.min(MAX_KEYED_BYTES, runs.length * SMALL_RUN_BYTES)) return runs
    const merged = await this.#executor.merge(spec, await this.#read(spec, partition, runs, options))
    return this.#keep(merged, runs[0]![1], runs.at(-1)![2], options)
  }

  #keep(runs: readonly Uint8Array[], first: number, last: number, options: Options): Promise<Run[]> {
    return inTurn(runs, async (run) => [[await this.#store.put(run, options), run.length], first, last])
  }

  /** Runs of a partition. Those that are lost are made again. */
  #read(spec: JobSpec, partition: number, runs: readonly Run[], options: Options): Promise<Uint8Array[]> {
    return inTurn(runs, async (run) => {
      try {
        return await this.#readOne(run, options)
      } catch (error) {
        if (!isLost(error)) throw error
        const again = this.#redone(spec, partition, run, options)
        const made = await again.catch(() => undefined) // as where the input is lost too: the first error says more
        if (made === undefined) throw error
        return made
      }
    })
  }

  /**
   * A run that is lost, made again: whoever does its tasks again leaves the same bytes (Dean and Ghemawat 2004, section 3.3).
   * Undefined: they leave others now, as when the job is not deterministic.
   */
  async #redone(
    spec: JobSpec,
    partition: number,
    [what, first, last]: Run,
    { signal }: Options,
  ): Promise<Uint8Array | undefined> {
    const map = rootSpec(spec)
    if (last < first || last >= Math.min(map.tasks, first + MAX_REDONE)) return undefined
    const left: Uint8Array[] = []
    for (let task = first; task <= last; task++) {
      const given = await this.#given(map, [task], { signal })
      const { partials } = await this.#executor.run({ spec: map, segment: task, mask: 1, ...given }, { signal })
      for (const { bytes } of partials) left.push(...((decode(bytes) as Emitted)[partition] ?? []))
    }
    for (const run of first === last ? left : await this.#executor.merge(map, left)) {
      if ((await this.#store.put(run, { signal })) === what[0]) return run
    }
    return undefined
  }

  async #readOne([what]: Run, options: Options): Promise<Uint8Array> {
    if (what instanceof Uint8Array) return what
    const [cid, size] = what
    const bytes = await kept(this.#store, cid, size, options)
    if (bytes.length < size) throw new ChoraleError('bad-message', `a run has ${bytes.length} bytes, not ${size}`)
    return bytes
  }

  #unpack(spec: JobSpec, partial: Uint8Array, options: Options): Promise<Uint8Array> {
    const most = spec.partitions === undefined ? MAX_RESULT_BYTES : MAX_LIST_BYTES
    return unpack(this.#store, partial, most, options)
  }

  #packed(bytes: Uint8Array, options: Options): Promise<Uint8Array> {
    return pack(this.#store, bytes, MAX_PARTIAL_BYTES, options)
  }
}

function joinLeaves(partials: readonly Uint8Array[]): { keys: number; leaves: Array<[string, number]> } {
  const all = partials.map((bytes) => reduced.parse(decode(bytes)))
  return {
    keys: all.reduce((sum, { keys }) => sum + keys, 0),
    leaves: all.flatMap(({ leaves }) => leaves),
  }
}

function sizeOf(runs: readonly Run[]): number {
  return runs.reduce((sum, [what]) => sum + (what instanceof Uint8Array ? what.length : what[1]), 0)
}

/** Some at once, the results in order. */
async function inTurn<T, R>(items: readonly T[], work: (item: T, at: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T, i)
  }
  await Promise.all(Array.from({ length: Math.min(WINDOW, items.length) }, lane))
  return results
}
