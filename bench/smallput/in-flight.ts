/** Many operations at a time, for a while: what both contenders of `bench/smallput.ts` are driven by. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { round } from '../measure.ts'

export const WIDTH = 64
export const BLOCK_BYTES = 1024
/** The first ones load code and open connections: so many do not count. */
const WARM_UP = 4 * WIDTH

export interface Rate {
  /** Operations done, those of the warm-up included. */
  readonly count: number
  readonly perSecond: number
}

/** Runs `work(0)`, `work(1)`, ... with `WIDTH` at a time until the seconds or `most` are over. */
export async function inFlight(seconds: number, work: (index: number) => Promise<void>, most: number): Promise<Rate> {
  const startMs = performance.now()
  let next = 0
  let done = 0
  let warmMs = 0
  const worker = async () => {
    while (next < most && performance.now() - startMs < seconds * 1000) {
      await work(next++)
      if (++done === WARM_UP) warmMs = performance.now()
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  if (done <= WARM_UP) throw new Error(`only ${done} operations, of which ${WARM_UP} are the warm-up`)
  return { count: done, perSecond: round(((done - WARM_UP) / (performance.now() - warmMs)) * 1000) }
}

/** Different for every index, and not to be compressed. Cheap: what is measured is not how fast blocks are made. */
export function blockOf(index: number): Buffer {
  return createHash('shake256', { outputLength: BLOCK_BYTES }).update(`${index}`).digest()
}

/** One line of JSON of a child, and one to it. */
export interface Child<T> {
  next(): Promise<T>
  tell(value: unknown): void
  end(): Promise<void>
}

/** The same program in another role. It ends with its standard input. */
export function startChild<T>(file: string, ...args: readonly string[]): Child<T> {
  const child = spawn(process.execPath, [...process.execArgv, file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const ended = once(child, 'exit')
  return {
    async next() {
      const { value, done } = await lines.next()
      if (done) throw new Error(`a process ended: ${[file, ...args].join(' ')}`)
      return JSON.parse(value) as T
    },
    tell: (value) => void child.stdin.write(`${JSON.stringify(value)}\n`),
    async end() {
      child.stdin.end()
      await ended
    },
  }
}

/** The lines that a parent tells; the process ends after the last. */
export async function* parentLines<T>(): AsyncGenerator<T> {
  for await (const line of createInterface(process.stdin)) yield JSON.parse(line) as T
}
