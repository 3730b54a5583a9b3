/** A small ring run, and a made-up world, for tests of what is recorded and drawn. */
import { SimNetwork } from '../../../../sim/network.ts'
import { RING_DEFAULTS, type RingOptions, runRing } from '../../../../sim/scenarios/ring.ts'
import { Recorder, type World } from '../../../../sim/watch/recorder.ts'
import type { Run, Stay } from '../../../../sim/watch/run.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'

export const SMALL: RingOptions = {
  ...RING_DEFAULTS,
  nodes: 24,
  r: 4,
  churn: 0.03,
  seconds: 8,
  lookupsPerSecond: 20,
  lookupsAfterQuiet: 200,
}

export async function recorded(change: Partial<RingOptions> = {}) {
  const recorder = new Recorder('npm run sim -- ring')
  const result = await runRing({ ...SMALL, ...change }, undefined, recorder)
  recorder.end()
  return { result, run: recorder.run }
}

/** Members that do nothing, at a clock that the test moves. */
export class QuietWorld implements World {
  readonly shape = 'torus'
  readonly dimensions = 2
  readonly network = new SimNetwork({ seed: 1 })
  readonly ids: Key[]
  joined: (id: Key) => void = () => {}
  died: (id: Key) => void = () => {}

  constructor(size: number) {
    this.ids = Array.from({ length: size }, (_, i) => hashKey(`${i}`))
  }

  members() {
    return this.ids
  }

  follow(joined: (id: Key) => void, died: (id: Key) => void): void {
    this.joined = joined
    this.died = died
  }

  pointOf(key: Key): readonly number[] {
    return [Number.parseInt(key.slice(0, 8), 16) / 2 ** 32, Number.parseInt(key.slice(8, 16), 16) / 2 ** 32]
  }

  linksOf(id: Key) {
    return { short: this.ids.slice(0, 4).filter((other) => other !== id), long: [] }
  }

  keyOf(): undefined {}
}

/** Three nodes at fixed places, the last of which comes late and the second of which dies. */
export function madeUp(shape: Run['shape'], change: Partial<Run> = {}): Run {
  const points =
    shape === 'ring'
      ? [[0], [0.25], [0.5]]
      : [
          [0.1, 0.1],
          [0.9, 0.1],
          [0.5, 0.9],
        ]
  const stays: Stay[] = [
    [0, 0, -1],
    [1, 0, 5000],
    [2, 2000, -1],
  ]
  return {
    shape,
    dimensions: shape === 'ring' ? 1 : 2,
    command: 'npm run sim -- ring',
    ids: ['00000000', '40000000', '80000000'],
    points,
    stays,
    links: [
      [0, 0, [1], []],
      [3000, 0, [2], [1]],
    ],
    lookups: [],
    counts: [
      [0, 0, 0, 0, 0, 0],
      [2000, 1, 0, 0, 0, 0],
      [5000, 1, 1, 0, 0, 0],
    ],
    phases: [
      [0, 'churn'],
      [6000, 'rest'],
    ],
    linksOfEach: 1,
    endMs: 8000,
    ...change,
  }
}
