/** Items in as few messages as frames hold them. */
import { MAX_ITEMS_BYTES } from './messages.ts'

/** In order; at least one message, if an empty one. */
export function inFrames<T>(items: readonly T[], bytesOf: (item: T) => number): T[][] {
  const frames: T[][] = [[]]
  let bytes = 0
  for (const item of items) {
    bytes += bytesOf(item)
    if (bytes > MAX_ITEMS_BYTES) {
      frames.push([])
      bytes = bytesOf(item)
    }
    frames.at(-1)?.push(item)
  }
  return frames
}
