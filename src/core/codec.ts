/** What decoded bytes must look like: checked against a schema before anybody sees the value. */
import type { Static, TSchema } from 'typebox'
// Not typebox/compile, which also loads 150 modules that convert and repair values: 8 MB that every node would keep.
import { Compile, type Validator } from 'typebox/schema'
import { ChoraleError } from './errors.ts'

export interface Checker<T> {
  check(value: unknown): value is T
  /** Returns the value typed; throws `bad-message` with the first difference. */
  parse(value: unknown): T
}

/** A schema as a check, compiled at its first use: a node never needs most of them. Do it once, at module level. */
export function checker<S extends TSchema>(schema: S): Checker<Static<S>> {
  let compiled: Validator | undefined
  const validator = () => (compiled ??= Compile(schema as object) as Validator)
  const check = (value: unknown): value is Static<S> => validator().Check(value)
  return {
    check,
    parse(value) {
      if (check(value)) return value
      const first = validator().Errors(value)[1][0]
      throw new ChoraleError('bad-message', `${first?.instancePath || 'value'} ${first?.message ?? 'does not fit'}`)
    },
  }
}
