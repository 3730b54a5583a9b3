/**
 * Loaded before the program (`--import`): a node whose executor makes up the results of jobs that are paid for. The program has
 * no switch for that; it gets another executor in place of its own.
 */
import { registerHooks } from 'node:module'

const EXECUTOR = new URL('../../src/mapreduce/executor.ts', import.meta.url).href
const CHEATING = new URL('cheating-executor.ts', import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    return found.url === EXECUTOR && context.parentURL !== CHEATING ? { ...found, url: CHEATING } : found
  },
})
