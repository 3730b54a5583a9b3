import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Access, linearityFault } from '../../sim/ledger/linearizable.ts'

const write = (version: number, beganMs: number, endedMs: number): Access => ({
  kind: 'write',
  version,
  beganMs,
  endedMs,
})
const read = (version: number, beganMs: number, endedMs: number): Access => ({
  kind: 'read',
  version,
  beganMs,
  endedMs,
})
const NEVER = Number.POSITIVE_INFINITY

test.each<[what: string, accesses: Access[], fault: RegExp | undefined]>([
  ['nothing', [], undefined],
  ['one after the other', [write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7)], undefined],
  ['a read beside a write sees it or not', [write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)], undefined],
  ['a write whose end nobody saw', [write(1, 0, NEVER), read(1, 5, 6), write(2, 7, 8)], undefined],
  [
    'a read that misses what had ended',
    [write(1, 0, 1), read(0, 2, 3)],
    /a read of version 0 .* after a write of version 1/,
  ],
  ['two reads, and the later one sees less', [write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)], /a read of version 0/],
  ['a write that comes before an earlier one', [write(2, 0, 1), write(1, 2, 3)], /a write of version 1/],
  [
    'a read of what was not begun',
    [read(1, 0, 1), write(1, 2, 3)],
    /a write of version 1 .* after a read of version 1/,
  ],
  ['ends and begins at one moment are beside each other', [write(1, 0, 2), read(0, 2, 3)], undefined],
])('%s', (_, accesses, fault) => {
  for (const order of [accesses, accesses.toReversed()]) {
    if (fault === undefined) expect(linearityFault(order)).toBeUndefined()
    else expect(linearityFault(order)).toMatch(fault)
  }
})

/** Looks at all orders: is there one with every access between its neighbours in time, that explains the versions? */
function hasOrder(accesses: readonly Access[], version = 0): boolean {
  if (accesses.length === 0) return true
  return accesses.some((first, i) => {
    const others = accesses.filter((_, j) => j !== i)
    if (others.some(({ endedMs }) => endedMs < first.beganMs)) return false
    if (first.version !== (first.kind === 'write' ? version + 1 : version)) return false
    return hasOrder(others, first.version)
  })
}

test('the same answer as by trying all orders', () => {
  const access = fc.record({ isWrite: fc.boolean(), saw: fc.nat(4), beganMs: fc.nat(12), tookMs: fc.nat(6) })
  let [good, bad] = [0, 0]
  fc.assert(
    fc.property(fc.array(access, { maxLength: 6 }), (drawn) => {
      let writes = 0
      const total = drawn.filter(({ isWrite }) => isWrite).length
      const accesses = drawn.map(({ isWrite, saw, beganMs, tookMs }) => {
        const version = isWrite ? ++writes : saw % (total + 1)
        return { kind: isWrite ? 'write' : 'read', version, beganMs, endedMs: beganMs + tookMs } as const
      })
      const expected = hasOrder(accesses)
      expected ? good++ : bad++
      expect(linearityFault(accesses) === undefined).toBe(expected)
    }),
  )
  expect(Math.min(good, bad)).toBeGreaterThan(10) // or it would show little
})
