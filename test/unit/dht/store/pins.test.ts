import { expect, test } from 'vitest'
import { silentLogger } from '../../../../src/core/env.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { cidOf, parseCid } from '../../../../src/dht/cid.ts'
import { type KeptPin, MAX_PINS, Pins } from '../../../../src/dht/store/pins.ts'
import { failure } from '../../../fakes/block-io.ts'
import { VirtualTime } from '../../mapreduce/virtual-time.ts'

const HOUR_MS = 3_600_000
const LEASE_MS = 9 * HOUR_MS
const file = (name: string) => cidOf('raw', new TextEncoder().encode(name))
const A = file('a')
const B = file('b')

/** A host whose DAGs are of so many blocks each. */
class Desk {
  readonly clock: VirtualTime
  /** When each call extended how many. */
  readonly calls: Array<[hours: number, blocks: number]> = []
  kept: readonly KeptPin[] = []
  lost = 0
  refuses = false
  broken: ChoraleError | undefined
  pins: Pins
  readonly #startMs: number

  constructor(clock = new VirtualTime(), kept: readonly KeptPin[] = []) {
    this.clock = clock
    this.kept = kept
    this.#startMs = clock.now()
    this.pins = this.restart()
  }

  restart(): Pins {
    this.pins = new Pins({
      env: { clock: this.clock, random: seededRandom('pins'), log: silentLogger },
      blocks: {
        extend: async (cids, options) => {
          expect(options).toMatchObject({ leaseMs: LEASE_MS })
          if (this.broken) throw this.broken
          this.calls.push([Math.round((this.clock.now() - this.#startMs) / 36_000) / 100, cids.length])
          return cids.slice(0, this.lost)
        },
      },
      blocksOf: async function* (root) {
        for (let i = 0; i < 300; i++) yield file(`${root} ${i}`)
      },
      leaseMs: LEASE_MS,
      kept: this.kept,
      keep: (pins) => {
        if (this.refuses) throw new ChoraleError('io', 'no space left')
        this.kept = pins
      },
    })
    return this.pins
  }

  pass(hours: number): Promise<void> {
    return this.clock.until(this.clock.sleep(hours * HOUR_MS), hours * HOUR_MS)
  }
}

test('leases are extended at a third of them, in batches, for as long as it is pinned', async () => {
  const desk = new Desk()
  desk.pins.start()
  await desk.pins.add(A, { fresh: true })
  await desk.pass(10)
  expect(desk.calls).toEqual(
    [3, 6, 9].flatMap((at) => [
      [at, 256],
      [at, 44],
    ]),
  )
  expect(desk.pins.remove(A)).toBe(true)
  expect(desk.pins.remove(A)).toBe(false)
  await desk.pass(10)
  expect(desk.calls).toHaveLength(6)
  expect(desk.kept).toEqual([])
})

test('what is pinned outlives a restart, and is extended soon when that is overdue', async () => {
  const desk = new Desk()
  await desk.pins.add(A, { fresh: true })
  await desk.pins.add(B, { fresh: true })
  await desk.pins.stop()
  await desk.pass(5)
  desk.restart().start()
  await desk.pass(1)
  expect(desk.calls.map(([, blocks]) => blocks)).toEqual([256, 44, 256, 44])
  expect(desk.pins.list().map(({ cid }) => cid)).toEqual([String(A), String(B)])
  await desk.pins.stop()
  await desk.pass(20)
  expect(desk.calls).toHaveLength(4)
})

test('pinning what others have put extends its leases first, and refuses what is lost', async () => {
  const desk = new Desk()
  expect(await desk.pins.add(A)).toMatchObject({ cid: String(A), missing: 0 })
  expect(desk.calls).toHaveLength(2)
  desk.lost = 1
  expect(await failure(desk.pins.add(B))).toBe(`not-found: nobody has 2 blocks of ${B}: add it again`)
  expect(desk.pins.list()).toHaveLength(1)
})

test('a refresh that fails is tried again, and told', async () => {
  const desk = new Desk()
  desk.pins.start()
  await desk.pins.add(A, { fresh: true })
  desk.broken = new ChoraleError('no-route', 'no way to an owner')
  await desk.pass(3.1)
  expect(desk.pins.list()).toMatchObject([{ problem: 'no way to an owner' }])
  desk.broken = undefined
  desk.lost = 1
  await desk.pass(0.2)
  expect(desk.pins.list()).toMatchObject([{ problem: undefined, missing: 2 }])
  expect(desk.calls[0]?.[0]).toBeCloseTo(3.17, 1)
})

test('what cannot be written down is not pinned, and what is pinned stays', async () => {
  const desk = new Desk()
  await desk.pins.add(A, { fresh: true })
  desk.refuses = true
  expect(await failure(desk.pins.add(B, { fresh: true }))).toBe('io: no space left')
  expect(() => desk.pins.remove(A)).toThrow('no space left')
  expect(desk.pins.list().map(({ cid }) => cid)).toEqual([String(A)])
})

test('there is an end to pins', async () => {
  const pin = (i: number) => ({ cid: String(file(`${i}`)), pinnedAtMs: 0, refreshedAtMs: 0 })
  const desk = new Desk(
    undefined,
    Array.from({ length: MAX_PINS }, (_, i) => pin(i)),
  )
  expect(await failure(desk.pins.add(A, { fresh: true }))).toMatch(/^limit: this node has 4096 pins/)
  expect(await failure(desk.pins.add(parseCid(pin(7).cid), { fresh: true }))).toBe('done')
})
