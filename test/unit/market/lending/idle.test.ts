import { describe, expect, test } from 'vitest'
import { type IdleState, NOT_WATCHED, QUIET_MS, quietCores, watched } from '../../../../src/market/lending/idle.ts'

const STEP_MS = 5_000
const CORES = 4

/** Looks every five seconds; each entry: cores that others take, and this host. `ownKnown`: the system says which are ours. */
function watch(loads: ReadonlyArray<readonly [others: number, own: number]>, ownKnown = true): IdleState[] {
  let [busyMs, ownMs, atMs] = [0, 0, 1_000_000]
  let state = watched(NOT_WATCHED, { atMs, busyMs, ownMs: ownKnown ? ownMs : undefined, cores: CORES }, 0)
  return loads.map(([others, own]) => {
    atMs += STEP_MS
    busyMs += (others + own) * STEP_MS
    ownMs += own * STEP_MS
    state = watched(state, { atMs, busyMs, ownMs: ownKnown ? ownMs : undefined, cores: CORES }, own)
    return state
  })
}

const times = (count: number, others: number, own = 0) => Array.from({ length: count }, () => [others, own] as const)
const idleAfter = (states: readonly IdleState[]) => states.findIndex(({ isIdle }) => isIdle)
const QUIET_STEPS = QUIET_MS / STEP_MS

describe('a machine is idle', () => {
  test('when others have been quiet for a minute, and not before', () => {
    expect(idleAfter(watch(times(20, 0.4)))).toBe(QUIET_STEPS - 1)
    expect(idleAfter(watch(times(20, 0)))).toBe(QUIET_STEPS - 1)
    expect(idleAfter(watch(times(100, 0.41)))).toBe(-1)
  })

  test('on a large machine one busy core of others is work too', () => {
    const look = (others: number, cores: number) => {
      let state = watched(NOT_WATCHED, { atMs: 0, busyMs: 0, ownMs: 0, cores }, 0)
      for (let i = 1; i <= QUIET_STEPS; i++) {
        state = watched(state, { atMs: i * STEP_MS, busyMs: i * others * STEP_MS, ownMs: 0, cores }, 0)
      }
      const work = { atMs: state.last!.atMs + STEP_MS, busyMs: state.last!.busyMs + 1.1 * STEP_MS, ownMs: 0, cores }
      return [state.isIdle, watched(state, work, 0).isIdle]
    }
    expect([look(0.5, 64), look(0.51, 64), look(0.19, 2), look(0.21, 2)]).toEqual([
      [true, false],
      [false, false],
      [true, false],
      [false, false],
    ])
    expect([quietCores(1), quietCores(4), quietCores(64)]).toEqual([0.1, 0.4, 0.5])
  })

  test('whatever this host takes itself', () => {
    expect(idleAfter(watch(times(20, 0.1, 3.5)))).toBe(QUIET_STEPS - 1)
    expect(idleAfter(watch(times(20, 0.1, 3.5), false))).toBe(QUIET_STEPS - 1)
    expect(watch(times(1, 1.5, 2))[0]!.others).toBeCloseTo(1.5)
  })

  test('the minute begins anew with every disturbance', () => {
    const states = watch([...times(QUIET_STEPS - 1, 0), [0.6, 0], ...times(20, 0)])
    expect(idleAfter(states)).toBe(QUIET_STEPS - 1 + 1 + QUIET_STEPS - 1)
  })

  test('no more at once when others work, but for a little it goes on', () => {
    const idle = times(QUIET_STEPS, 0)
    const states = watch([...idle, [0.9, 3], [0.9, 3], [1.1, 3], ...times(3, 0)])
    expect(states.map(({ isIdle }) => isIdle).slice(QUIET_STEPS - 1)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ])
  })

  test('not when nobody has watched: a machine that slept has somebody at it', () => {
    const states = watch(times(QUIET_STEPS, 0))
    const { last } = states.at(-1)!
    const woken = watched(states.at(-1)!, { ...last!, atMs: last!.atMs + 3_600_000 }, 0)
    expect(woken).toMatchObject({ isIdle: false, others: undefined })
    // Nor when the clock was set back.
    expect(watched(states.at(-1)!, { ...last!, atMs: last!.atMs - 1 }, 0)).toMatchObject({ isIdle: false })
  })

  test('processes of this host that ended do not make others of what they took', () => {
    const first = watched(NOT_WATCHED, { atMs: 0, busyMs: 0, ownMs: 900, cores: CORES }, 0)
    const next = watched(first, { atMs: 5_000, busyMs: 1_000, ownMs: 0, cores: CORES }, 0)
    expect(next.others).toBeCloseTo(0.2)
  })
})
