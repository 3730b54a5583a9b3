/** Tasks that do nothing: what is left is the cost of handing them out. For bench/tasks.ts. */
import { ChoraleError } from '../src/core/errors.ts'
import type { JobModule, Json } from '../src/mapreduce/types.ts'

interface NoopParams {
  [name: string]: Json
  tasks: number
}

const noop: JobModule<NoopParams, number> = {
  name: 'noop',
  plan({ tasks }) {
    if (typeof tasks !== 'number' || !Number.isInteger(tasks) || tasks < 1 || tasks > 2 ** 22) {
      throw new ChoraleError('usage', `tasks must be a whole number from 1 to 2^22, not ${String(tasks)}`)
    }
    return { params: { tasks }, tasks }
  },
  map: () => 1,
  reduce: (left, right) => left + right,
  finish: (total) => ({ tasks: total }),
}

export default noop
