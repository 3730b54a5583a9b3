/**
 * What `jobs/wordcount.ts` does, in one process of plain Node: `node single.ts FILE OUTPUT`. Prints the seconds from the
 * first byte read to the last one written; the process's own start does not count.
 */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'

const PIECE_BYTES = 4 * 1024 * 1024
const [file = '', output = ''] = process.argv.slice(2)
const begin = performance.now()
const counts = new Map<string, number>()

function count(text: string): void {
  const words = /[a-z]+/g
  const lower = text.toLowerCase()
  for (let match = words.exec(lower); match !== null; match = words.exec(lower)) {
    const word = match[0]
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
}

const handle = openSync(file, 'r')
const buffer = Buffer.allocUnsafe(PIECE_BYTES + 1024 * 1024)
const decoder = new TextDecoder()
let kept = 0
for (;;) {
  const read = readSync(handle, buffer, kept, PIECE_BYTES, null)
  const filled = kept + read
  // Whole lines; the rest comes first the next time.
  const end = read === 0 ? filled : buffer.lastIndexOf(0x0a, filled - 1) + 1
  count(decoder.decode(buffer.subarray(0, end)))
  buffer.copyWithin(0, end, filled)
  kept = filled - end
  if (read === 0) break
}
closeSync(handle)
const lines = [...counts.keys()].sort().map((word) => `${String(counts.get(word)).padStart(7)} ${word}\n`)
writeFileSync(output, lines.join(''))
console.log((performance.now() - begin) / 1000)
