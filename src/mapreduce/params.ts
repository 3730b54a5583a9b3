/** Parameters of a job: what a user gave, against what the job says of them. */
import { ChoraleError } from '../core/errors.ts'
import type { Json } from './types.ts'

/** A parameter: its default, or what it must be if it has to be given. */
export type ParamSpec = string | number | boolean | typeof String | typeof Number | typeof Boolean

/** Checks what was given, and puts in the defaults. Throws `usage` with the remedy. */
export function paramsOf(
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
