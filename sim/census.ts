/**
 * A job that shows what became of each of its tasks: its value lists their numbers, so that a missing or doubled one has
 * a name, and folds what they made in ways that depend on all of them, on their order too.
 */
import type { JobModule } from '../src/mapreduce/types.ts'
import { waves } from './fake-executor.ts'

interface Census {
  readonly tasks: readonly number[]
  readonly xor: number
  /** Of floating-point numbers: any other order of additions shows in the last bits. */
  readonly sum: number
}

export const census: JobModule<{ tasks: number }, Census> = {
  name: 'census',
  plan: waves.plan,
  map(task, context) {
    const { sum } = waves.map(task, context)
    return { tasks: [task], xor: Math.imul(task + 1, 0x9e3779b1) ^ context.seed, sum }
  },
  reduce: (left, right) => ({
    tasks: [...left.tasks, ...right.tasks],
    xor: left.xor ^ right.xor,
    sum: left.sum + right.sum,
  }),
  finish: ({ tasks, xor, sum }) => ({ tasks: [...tasks], xor, sum }),
}

/** Tasks that a value lacks, and those that it has more than once. */
export function countTasks(value: unknown, tasks: number): { missing: number; doubled: number } {
  const listed = (value as Census | undefined)?.tasks ?? []
  const seen = new Set(listed.filter((task) => Number.isInteger(task) && task >= 0 && task < tasks))
  return { missing: tasks - seen.size, doubled: listed.length - seen.size }
}
