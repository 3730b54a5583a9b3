/** A thread of the pool (`pool.ts`): does one unit after the other and answers with its result, or with what went wrong. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Registry } from '../registry.ts'
import type { Answer, Work } from './pool.ts'

// As in sim/main.ts: time-outs are everyday events, and their stacks would cost more than the rest.
Error.stackTraceLimit = process.env.CHORALE_SIM_STACKS ? 10 : 0

const { STUDIES } = (await import(workerData as string)) as { STUDIES: Registry }

parentPort?.on('message', async ({ study: name, unit }: Work) => {
  let answer: Answer
  try {
    const { study } = await STUDIES[name]!()
    // Through JSON, so that what is no data shows at once, and not only where results are stored.
    answer = { result: JSON.parse(JSON.stringify(await study.run(unit))) }
  } catch (error) {
    answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  parentPort?.postMessage(answer)
})
