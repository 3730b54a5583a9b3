/**
 * A module of WebAssembly as a job. It exports its `memory`, `alloc(bytes) -> pointer`, and functions that take a pointer
 * and a length and give both back in one number, `length << 32 | pointer`:
 *
 *   function  takes                                                gives
 *   split     the parameters, as JSON                              the number of tasks, 4 bytes
 *   map       the task's number (4 bytes), the job's seed (8, a    the task's result, up to 32 KiB
 *             double), the parameters as JSON
 *   reduce    the length of the left result (4 bytes), the left    both as one
 *             result, the right result
 *   finish    the total                                            the value, as JSON
 *
 * Numbers are little-endian. Every call has an instance of its own, so nothing is left from one to the next.
 */
import type { JobModule, Json } from '../../types.ts'

type Call = (pointer: number, length: number) => bigint

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  alloc(bytes: number): number
  readonly split: Call
  readonly map: Call
  readonly reduce: Call
  readonly finish: Call
}

const FUNCTIONS = ['alloc', 'split', 'map', 'reduce', 'finish'] as const
const { Module, Instance, RuntimeError } = WebAssembly
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function trapped<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RuntimeError) throw new Error(`${name} trapped: ${error.message}`, { cause: error })
    throw error
  }
}

/** Throws when it does not export what a job must. */
export function wasmJob(bytes: Uint8Array): JobModule<{ [name: string]: Json }, Uint8Array> {
  const module = new Module(bytes)
  const abort = () => {
    throw new Error('it called abort')
  }

  function start(): Exports {
    const { exports } = new Instance(module, { env: { abort } })
    for (const name of FUNCTIONS) {
      if (typeof exports[name] !== 'function') throw new Error(`a job in WebAssembly must export the function ${name}`)
    }
    if (!exports.memory) throw new Error('a job in WebAssembly must export its memory')
    return exports as unknown as Exports
  }

  function call(name: 'split' | 'map' | 'reduce' | 'finish', ...parts: readonly Uint8Array[]): Uint8Array {
    const instance = start()
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    const pointer = instance.alloc(length) >>> 0
    let at = pointer
    for (const part of parts) {
      new Uint8Array(instance.memory.buffer, at, part.length).set(part)
      at += part.length
    }
    const packed = BigInt.asUintN(
      64,
      trapped(name, () => instance[name](pointer, length)),
    )
    const from = Number(packed & 0xffffffffn)
    return new Uint8Array(instance.memory.buffer, from, Number(packed >> 32n)).slice()
  }

  start()
  return {
    name: 'wasm',
    plan(given, input) {
      if (input) throw new Error('a job in WebAssembly takes no --input')
      const params = { ...given }
      const tasks = call('split', encoder.encode(JSON.stringify(params)))
      if (tasks.length !== 4) throw new Error(`split must give 4 bytes, not ${tasks.length}`)
      return { params, tasks: new DataView(tasks.buffer).getUint32(0, true) }
    },
    map(task, { params, seed }) {
      const head = new DataView(new ArrayBuffer(12))
      head.setUint32(0, task, true)
      head.setFloat64(4, seed, true)
      return call('map', new Uint8Array(head.buffer), encoder.encode(JSON.stringify(params)))
    },
    reduce(left, right) {
      const head = new DataView(new ArrayBuffer(4))
      head.setUint32(0, left.length, true)
      return call('reduce', new Uint8Array(head.buffer), left, right)
    },
    finish: (total) => JSON.parse(decoder.decode(call('finish', total))) as Json,
  }
}
