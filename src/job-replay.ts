/**
 * Jobs of the overlay, done again on this machine: a whole one or one of its tasks, from the spec that the network knows. A
 * result depends on nothing but the spec and the code, so it is the same to the byte.
 */
import { decode } from './core/cbor.ts'
import { silentLogger } from './core/env.ts'
import { ChoraleError, errorCode } from './core/errors.ts'
import { hashKey } from './core/ids.ts'
import { MAX_BLOCK_BYTES, MAX_CODE_BYTES, MAX_KEYED_BYTES } from './core/limits.ts'
import { systemClock } from './core/system.ts'
import { builtinModule } from './job-modules.ts'
import { createThreadExecutor } from './mapreduce/executor.ts'
import { type LocalOptions, type LocalPorts, runSpec } from './mapreduce/local.ts'
import { createLocalStore } from './mapreduce/local-store.ts'
import type { FileSize, JobPlan, JobStore } from './mapreduce/ports.ts'
import { refusalOf, type SandboxState } from './mapreduce/sandbox/admission.ts'
import type { Level } from './mapreduce/sandbox/command.ts'
import { createSandboxExecutor } from './mapreduce/sandbox/executor.ts'
import { rootSpec } from './mapreduce/spec.ts'
import type { JobSpec, Json } from './mapreduce/types.ts'
import { Work } from './mapreduce/work.ts'

export interface Replay {
  /** Of the pass that the job was in last. */
  readonly spec: JobSpec
  /** The overlay's store, for reading only. */
  readonly store: ReplaySource
  /** Processes or threads at once. */
  readonly cores: number
  /** Submitted through the user's own node. Code of others runs only where a node would take it (SANDBOX: Levels). */
  readonly own: boolean
  /** It runs also as root, and JavaScript at level process. */
  readonly allowNative: boolean
  /** Default: the best of this machine. */
  readonly level?: Level
}

export interface ReplaySource {
  /** The bytes of a file or a block. */
  cat(cid: string): AsyncIterable<Uint8Array>
  /** The leaves of a file, in order. */
  leaves(cid: string): AsyncIterable<{ readonly cid: string; readonly bytes: number }>
}

export interface Replayed {
  /** Of the bytes that the overlay would have got: SHA-256. */
  readonly digest: string
  readonly bytes: number
  readonly value: Json
}

/** One task of that pass. Rejects as the executor does: `user-code` when it fails, `unsupported` for another engine. */
export function replayTask(replay: Replay, task: number, options: LocalOptions): Promise<Replayed> {
  const { spec } = replay
  return withPorts(replay, options.signal, async ({ executor, store }) => {
    const notes = { log: options.onLog ?? (() => {}), progress: () => {} }
    const run = { spec, segment: Math.floor(task / spec.leaf), mask: 1 << (task % spec.leaf) }
    const { partials } = await new Work(executor, store).run(run, { signal: options.signal, notes })
    const bytes = partials[0]!.bytes
    return { digest: hashKey(bytes), bytes: bytes.length, value: shown(decode(bytes)) }
  })
}

/** All passes. Rejects likewise; `digest` is that of a job's view. */
export function replayJob(replay: Replay, options: LocalOptions): Promise<Replayed> {
  return withPorts(replay, options.signal, async (ports) => {
    const { value, total } = await runSpec(ports, rootSpec(replay.spec), options)
    return { digest: hashKey(total), bytes: total.length, value }
  })
}

/** What a job of the package comes to. `file`: what it is to work on. Rejects with `usage`. */
export async function planBuiltin(
  module: string,
  params: { readonly [name: string]: Json },
  file: FileSize | undefined,
): Promise<JobPlan> {
  const executor = createThreadExecutor({ cores: 1, modules: builtinModule, clock: systemClock, log: silentLogger })
  return await executor.plan(module, params, file) // starts no thread
}

async function withPorts<T>(replay: Replay, signal: AbortSignal, work: (ports: LocalPorts) => Promise<T>): Promise<T> {
  const { spec, store: source, cores, own, allowNative, level } = replay
  const common = { cores, clock: systemClock, log: silentLogger }
  const foreign = spec.module.startsWith('builtin:')
    ? undefined
    : createSandboxExecutor({
        ...{ ...common, level, allowNative, stacks: true },
        codeOf: (cid) => bytesOf(source.cat(cid), MAX_CODE_BYTES),
        isOwn: () => own,
        asRoot: isRoot && !allowNative,
      })
  const executor = foreign ?? createThreadExecutor({ ...common, modules: builtinModule })
  await using local = createLocalStore()
  const onAbort = () => void executor.stop()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (foreign) admit(replay, await foreign.inspect())
    return await work({ executor, store: replayStore(source, local) })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    await executor.stop()
  }
}

const isRoot = process.getuid?.() === 0

/** Throws `auth` when the code is not run here, and says what to do; `config` when none is. */
function admit({ spec, own }: Replay, state: SandboxState): void {
  const refusal = refusalOf(state, spec.engine.startsWith('wasm/') ? 'wasm' : 'js', own)
  if (refusal === undefined) return
  if (state.level === 'none') throw new ChoraleError('config', refusal)
  const how = state.strangers === 'none' ? 'as root' : `at level process (${state.why ?? 'as it was asked to'})`
  throw new ChoraleError(
    'auth',
    `the job was not submitted through this node, and code of others does not run here ${how}: if you trust it, add --allow-native`,
  )
}

/** What the job reads comes from the overlay; what it makes stays here. */
function replayStore(source: ReplaySource, local: JobStore): JobStore {
  return {
    copies: local.copies,
    async file(cid) {
      const leaves: { readonly cid: string; readonly bytes: number }[] = []
      for await (const leaf of source.leaves(cid)) leaves.push(leaf)
      return {
        ...{ cid, bytes: leaves.reduce((sum, leaf) => sum + leaf.bytes, 0), blocks: leaves.length },
        keyOf() {
          throw new ChoraleError('internal', 'a replay has no place in the overlay')
        },
        read: (index) => bytesOf(source.cat(leaves[index]!.cid), MAX_BLOCK_BYTES),
      }
    },
    async get(cid, options) {
      try {
        return await local.get(cid, options)
      } catch (error) {
        if (errorCode(error) !== 'not-found') throw error
        return bytesOf(source.cat(cid), MAX_KEYED_BYTES)
      }
    },
    put: (bytes, options) => local.put(bytes, options),
    join: (leaves, options) => local.join(leaves, options),
  }
}

async function bytesOf(source: AsyncIterable<Uint8Array>, most: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of source) {
    bytes += piece.length
    if (bytes > most) throw new ChoraleError('limit', `more than ${most} bytes where a job has none so large`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** Bytes as dag-json writes them. */
function shown(value: unknown): Json {
  if (value instanceof Uint8Array) return { '/': { bytes: Buffer.from(value).toString('base64') } }
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shown(inner)]))
}
