/**
 * How often does each word occur in a text? Words are runs of the letters A to Z, in lower case. The output is what
 * `tr -cs A-Za-z '\n' | tr A-Z a-z | sort | uniq -c` says of the same text, but for the empty line.
 */
import { defineKeyedJob } from '../src/mapreduce/define.ts'

const A = 'a'.charCodeAt(0)
const LETTERS = 26

export default defineKeyedJob({
  name: 'wordcount',
  params: { parts: 4, taskBlocks: 32 },
  input: 'lines',
  // Up to 8 MiB: the more text a task has, the fewer words are there twice in what the tasks emit. Less of a short text,
  // so that there is something to do for many.
  taskBlocks: ({ taskBlocks }, { blocks }) => Math.min(taskBlocks, Math.ceil(blocks / 16)),
  partitions({ parts }) {
    if (!Number.isInteger(parts) || parts < 1 || parts > LETTERS)
      throw new Error(`parts must be a whole number from 1 to ${LETTERS}, not ${parts}`)
    return parts
  },
  // By the first letter, so that the parts after each other are sorted as a whole.
  partition: (word, parts) => Math.floor(((word.charCodeAt(0) - A) * parts) / LETTERS),
  map(_task, { input, emit }) {
    const counts = new Map<string, number>()
    const words = /[a-z]+/g
    const text = input.toLowerCase()
    for (let match = words.exec(text); match !== null; match = words.exec(text)) {
      const word = match[0]
      counts.set(word, (counts.get(word) ?? 0) + 1)
    }
    for (const [word, count] of counts) emit(word, count)
  },
  combine: (left: number, right: number) => left + right,
  write: (word, count) => `${String(count).padStart(7)} ${word}\n`,
  finish: ({ output, bytes, keys }) => ({ output, bytes, words: keys }),
})
