/** A text of any length: Shakespeare again and again, or, where that is not at hand, one that is made up. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { INPUTS } from '../src/cli/demo-input.ts'

const SHAKESPEARE = fileURLToPath(new URL('../../shared/data/tinyshakespeare.txt', import.meta.url))

export async function* someText(bytes: number): AsyncGenerator<Uint8Array> {
  const text = existsSync(SHAKESPEARE) ? readFileSync(SHAKESPEARE) : await whole(INPUTS.wordcount!(1).content())
  for (let left = bytes; left > 0; left -= text.length) yield text.subarray(0, left)
}

export async function whole(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of source) pieces.push(piece)
  return Buffer.concat(pieces)
}
