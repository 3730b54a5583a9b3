import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { commitTo } from '../../../../src/market/verification/commitment.ts'
import { Draws, drawPositions } from '../../../../src/market/verification/draws.ts'
import {
  anchorOf,
  isNonceOf,
  nonceOf,
  panelSeed,
  sampleSeed,
  type WindowName,
} from '../../../../src/market/verification/nonces.ts'

const secret = hashKey('secret of the customer')
const name: WindowName = { contract: hashKey('contract'), supplier: hashKey('supplier'), window: 0 }

test('each window has one nonce, which follows from what was shown last', () => {
  const windows = fc.integer({ min: 1, max: 40 })
  fc.assert(
    fc.property(windows, fc.nat(), fc.nat(), (windows, a, b) => {
      const [last, now] = [(a % (windows + 1)) - 1, b % windows]
      const shown = { window: last, nonce: last < 0 ? anchorOf(secret, windows) : nonceOf(secret, windows, last) }
      const nonce = nonceOf(secret, windows, now)
      expect(isNonceOf(nonce, now, shown)).toBe(now > last) // others may have been kept back
      for (const window of [now - 1, now + 1]) expect(isNonceOf(nonce, window, shown)).toBe(false)
      expect(isNonceOf(hashKey(nonce), now, shown)).toBe(false)
    }),
  )
  expect(() => anchorOf(secret, 0)).toThrow('1 to 65536 windows')
  expect(() => nonceOf(secret, 3, 3)).toThrow('no nonce for window 3')
})

test('a number that leads far back is refused without much work', () => {
  const shown = { window: -1, nonce: anchorOf(secret, 2) }
  expect(isNonceOf(secret, 1e12, shown)).toBe(false)
  expect(isNonceOf(secret, 0.5, shown)).toBe(false)
})

test('seeds depend on all that they name', () => {
  const [root, nonce] = [hashKey('root'), hashKey('nonce')]
  const other = hashKey('other')
  const samples = [
    sampleSeed(name, root, nonce),
    sampleSeed({ ...name, window: 1 }, root, nonce),
    sampleSeed({ ...name, supplier: other }, root, nonce), // each supplier has a sample of its own
    sampleSeed({ ...name, contract: other }, root, nonce),
    sampleSeed(name, other, nonce),
    sampleSeed(name, root, other),
  ]
  const reveals = { customer: nonce, supplier: root }
  const panels = [
    panelSeed(name, root, reveals, 0),
    panelSeed(name, root, reveals, 1),
    panelSeed(name, root, { customer: root, supplier: nonce }, 0),
  ]
  expect(new Set([...samples, ...panels]).size).toBe(samples.length + panels.length)
})

test('who tries a thousand roots without the nonce is tested no less than who tries one', () => {
  const tasks = 40
  const skipped = 10 // the first ones
  const digests = Array.from({ length: tasks }, (_, i) => hashKey(`output ${i}`))
  const hitsOf = (root: ReturnType<typeof hashKey>, nonce: ReturnType<typeof hashKey>) =>
    drawPositions(new Draws(sampleSeed(name, root, nonce)), 4, tasks).filter((p) => p < skipped).length
  const roots = Array.from({ length: 100 }, (_, i) => commitTo(name, digests, hashKey(`salt ${i}`)).root)
  const guessed = hashKey('a nonce that it makes up')
  const best = roots.toSorted((a, b) => hitsOf(a, guessed) - hitsOf(b, guessed))[0]!
  expect(hitsOf(best, guessed)).toBe(0)
  const rounds = 4000
  let hits = 0
  for (let i = 0; i < rounds; i++) hits += hitsOf(best, hashKey(`true nonce ${i}`))
  // 4 of 40 without putting back: one hit on average, with variance 4 x 1/4 x 3/4 x 36/39.
  expect(Math.abs(hits / rounds - 1)).toBeLessThan(4.5 * Math.sqrt(0.692 / rounds))
})
