/**
 * How people write a job: a module whose default export is `defineJob({ ... })`. It runs where no clock, network, file or
 * locale is, and gives the same bytes everywhere.
 */
import { ChoraleError } from '../core/errors.ts'
import { MAX_JOB_TASKS } from '../core/limits.ts'
import type { JobModule, Json, MapContext } from './types.ts'

export type { Json, MapContext } from './types.ts'

/** A parameter: its default, or what it must be if it has to be given. */
export type ParamSpec = string | number | boolean | typeof String | typeof Number | typeof Boolean

export type ParamsOf<S> = {
  -readonly [N in keyof S]: S[N] extends typeof String | string
    ? string
    : S[N] extends typeof Number | number
      ? number
      : S[N] extends typeof Boolean | boolean
        ? boolean
        : never
}

export interface JobDefinition<S extends { [name: string]: ParamSpec }, Partial> {
  /** For people: 1 to 64 characters. */
  readonly name: string
  readonly params?: S
  /** How many tasks there are, 1 to 2^22. May throw an Error that tells what is wrong with the parameters. */
  split(params: ParamsOf<S>): number
  /**
   * One task: 0 to the number of tasks - 1. A result is what JSON can hold, and Uint8Array, up to 32 KiB; no NaN or
   * Infinity. `Math.random` is the context's `random`.
   */
  map(task: number, context: MapContext<ParamsOf<S>>): Partial
  /** Two neighbouring results as one, left before right. It must not matter which neighbours come together first. */
  reduce(left: Partial, right: Partial): Partial
  /** What is shown as the job's value. Default: the total itself. */
  finish?(total: Partial, context: { readonly params: ParamsOf<S> }): Json
}

export function defineJob<const S extends { [name: string]: ParamSpec }, Partial>(
  job: JobDefinition<S, Partial>,
): JobModule<ParamsOf<S> & { [name: string]: Json }, Partial> {
  type Params = ParamsOf<S> & { [name: string]: Json }
  const specs: { [name: string]: ParamSpec } = job.params ?? {}
  return {
    name: job.name,
    plan(given) {
      const params = paramsOf(job.name, specs, given) as Params
      let tasks: unknown
      try {
        tasks = job.split(params)
      } catch (error) {
        throw new ChoraleError('usage', error instanceof Error ? error.message : String(error), { cause: error })
      }
      if (typeof tasks !== 'number' || !Number.isInteger(tasks) || tasks < 1 || tasks > MAX_JOB_TASKS) {
        throw new ChoraleError(
          'usage',
          `split must give a whole number of tasks from 1 to ${MAX_JOB_TASKS}, not ${String(tasks)}`,
        )
      }
      return { params, tasks }
    },
    map: (task, context) => job.map(task, context),
    reduce: (left, right) => job.reduce(left, right),
    finish: (total, { params }) => (job.finish ? job.finish(total, { params }) : (total as Json)),
  }
}

function paramsOf(
  job: string,
  specs: { [name: string]: ParamSpec },
  given: { readonly [name: string]: Json },
): { [name: string]: Json } {
  const params: { [name: string]: Json } = {}
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(specs, name)) continue
    const known = Object.keys(specs)
    throw new ChoraleError(
      'usage',
      `${job} has no parameter "${name}": ${known.length > 0 ? `it has ${known.join(', ')}` : 'it takes none'}`,
    )
  }
  for (const [name, spec] of Object.entries(specs)) {
    const value = given[name] ?? (typeof spec === 'function' ? undefined : spec)
    const type = typeof spec === 'function' ? typeof spec() : typeof spec
    if (value === undefined) throw new ChoraleError('usage', `${job} needs --param ${name}=..., a ${type}`)
    if (typeof value !== type) {
      const hint = type === 'string' ? `: write it as ${name}='${JSON.stringify(String(value))}'` : ''
      throw new ChoraleError('usage', `${name} must be a ${type}, not ${JSON.stringify(value)}${hint}`)
    }
    params[name] = value
  }
  return params
}
