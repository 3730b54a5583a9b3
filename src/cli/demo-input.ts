/** What the demo's jobs over stored input work on: a file of the user's, or something made up, the same for each seed. */
import { basename } from 'node:path'
import { ChoraleError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import * as format from './format.ts'
import { inspect, readFile } from './local-files.ts'

export interface DemoInput {
  readonly name: string
  content(): AsyncIterable<Uint8Array>
}

const TEXT_BYTES = 16 * 1024 * 1024
const POINTS = 200_000
const CENTERS = 8
const WORDS = 20_000
/** Lines that are made at once. */
const LINES = 2_000
const LINE_WORDS = 10

export const INPUTS: { readonly [what: string]: (seed: number) => DemoInput } = {
  wordcount: someText,
  sort: someText,
  kmeans: somePoints,
}

/** Throws `usage` before anything is started. */
export async function inputOf(what: string, file: string | undefined, seed: number): Promise<DemoInput | undefined> {
  const made = INPUTS[what]
  if (!made) return undefined
  if (file === undefined) return made(seed)
  const { directory } = await inspect(file)
  if (directory) throw new ChoraleError('usage', `${file} is a directory: --file needs a file`)
  return { name: format.safeName(basename(file)), content: () => readFile(file) }
}

/** Words of which few are frequent and most are rare (Zipf's law), as in any language. */
function someText(seed: number): DemoInput {
  async function* content(): AsyncGenerator<Uint8Array> {
    const random = seededRandom(`demo text ${seed}`)
    const letters = () =>
      Array.from({ length: 2 + random.int(9) }, () => String.fromCharCode(97 + random.int(26))).join('')
    const words = Array.from({ length: WORDS }, letters)
    for (let bytes = 0; bytes < TEXT_BYTES; ) {
      let text = ''
      for (let i = 1; i <= LINES * LINE_WORDS; i++) {
        const word = words[Math.floor(WORDS ** random.next()) - 1] ?? 'the'
        text += i % LINE_WORDS === 0 ? `${word}\n` : `${word} `
      }
      const piece = Buffer.from(text)
      bytes += piece.length
      yield piece
    }
  }
  return { name: `${format.bytes(TEXT_BYTES)} of made-up text`, content }
}

/** Points around some centers. */
function somePoints(seed: number): DemoInput {
  async function* content(): AsyncGenerator<Uint8Array> {
    const random = seededRandom(`demo points ${seed}`)
    const centers = Array.from({ length: CENTERS }, () => [100 * random.next(), 100 * random.next()])
    for (let made = 0; made < POINTS; made += LINES) {
      const lines = Array.from({ length: LINES }, () =>
        // The sum of some uniform numbers is nearly normal.
        centers[random.int(CENTERS)]!.map((x) =>
          (x + 2 * (random.next() + random.next() + random.next() - 1.5)).toFixed(3),
        ),
      )
      yield Buffer.from(lines.map((point) => `${point.join(',')}\n`).join(''))
    }
  }
  return { name: `${format.count(POINTS)} made-up points`, content }
}
