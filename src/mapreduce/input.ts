/** What a task is given of a stored file. */
import { ChoraleError } from '../core/errors.ts'
import { MAX_LINE_BYTES } from '../core/limits.ts'
import type { StoredFile } from './ports.ts'
import type { JobSpec } from './spec.ts'

const NEWLINE = 0x0a

type Input = Pick<NonNullable<JobSpec['input']>, 'as' | 'taskBlocks'>

/**
 * The task's blocks. Of text, whole lines: a task leaves out what comes before its first line end, and reads on through
 * the first line end after its last block, so that every line is of exactly one task. The first task leaves out nothing.
 * The bytes are the caller's own.
 */
export async function taskInput(
  file: StoredFile,
  { as, taskBlocks }: Input,
  task: number,
  options: { signal: AbortSignal },
): Promise<Uint8Array> {
  const first = task * taskBlocks
  const end = Math.min(file.blocks, first + taskBlocks)
  const indices = Array.from({ length: end - first }, (_, i) => first + i)
  const blocks = await Promise.all(indices.map((index) => file.read(index, options)))
  if (as === 'bytes') return Buffer.concat(blocks)
  return wholeLines(file, blocks, first === 0, end, options)
}

async function wholeLines(
  file: StoredFile,
  own: readonly Uint8Array[],
  isFirst: boolean,
  next: number,
  options: { signal: AbortSignal },
): Promise<Uint8Array> {
  const from = isFirst ? 0 : own.findIndex((block) => block.includes(NEWLINE))
  const block = own[from]
  if (!block) return new Uint8Array(0) // all of it belongs to a line that began before
  const pieces = [isFirst ? block : block.subarray(block.indexOf(NEWLINE) + 1), ...own.slice(from + 1)]
  let more = 0
  for (let index = next; index < file.blocks; index++) {
    const block = await file.read(index, options)
    const at = block.indexOf(NEWLINE)
    const piece = at < 0 ? block : block.subarray(0, at + 1)
    pieces.push(piece)
    more += piece.length
    if (at >= 0) break
    if (more > MAX_LINE_BYTES) {
      throw new ChoraleError('limit', `a line of the input has more than ${MAX_LINE_BYTES} bytes: is it text?`)
    }
  }
  return Buffer.concat(pieces)
}
