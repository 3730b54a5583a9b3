/** Tasks that do nothing, as people write them: for `bench -- tasks --sandbox`. */
import { defineJob } from '../../src/mapreduce/define.ts'

export default defineJob({
  name: 'noop',
  params: { tasks: Number },
  split: ({ tasks }) => tasks,
  map: () => 1,
  reduce: (left: number, right: number) => left + right,
  finish: (tasks) => ({ tasks }),
})
