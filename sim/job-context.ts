/** What a job's functions are called with, for tests that call them. */
import type { FinishContext, MapContext } from '../src/mapreduce/types.ts'

export function mapContext<P>(params: P, given: Partial<MapContext<P>> = {}): MapContext<P> {
  const emit = () => {
    throw new Error('not a keyed job')
  }
  const silent = { log() {}, progress() {} }
  return { params, seed: 0, input: undefined, round: 0, state: null, random: () => 0, emit, ...silent, ...given }
}

export function finishContext<P>(params: P): FinishContext<P> {
  return { params, round: 0, state: null }
}
