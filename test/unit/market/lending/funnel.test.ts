import fc from 'fast-check'
import { expect, test } from 'vitest'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import {
  counted,
  EMPTY_FUNNEL,
  type OfferEvent,
  UNFIT,
  type Unfit,
  whyNot,
} from '../../../../src/market/lending/funnel.ts'

const events: fc.Arbitrary<OfferEvent> = fc.oneof(
  fc.record({
    kind: fc.constant('seen' as const),
    unfit: fc.option(fc.constantFrom(...(Object.keys(UNFIT) as Unfit[])), { nil: undefined }),
  }),
  fc.record({ kind: fc.constantFrom('pricedOut' as const, 'won' as const, 'verified' as const) }),
  fc.record({ kind: fc.constant('earned' as const), amount: fc.bigInt({ min: 0n, max: 10_000n }).map(amount) }),
)

test('every event is counted once, and an offer that is seen fits or has one reason why not', () => {
  fc.assert(
    fc.property(fc.array(events), (all) => {
      const funnel = all.reduce(counted, EMPTY_FUNNEL)
      const count = (kind: string) => all.filter((event) => event.kind === kind).length
      const unfit = Object.values(funnel.unfit).reduce((sum, each) => sum + each, 0)
      expect(funnel.seen).toBe(count('seen'))
      expect(funnel.fitting + unfit).toBe(funnel.seen)
      expect(funnel).toMatchObject({ pricedOut: count('pricedOut'), won: count('won'), verified: count('verified') })
      expect(funnel.earned).toBe(all.reduce((sum, event) => (event.kind === 'earned' ? sum + event.amount : sum), 0n))
    }),
  )
  expect(EMPTY_FUNNEL.seen).toBe(0)
})

test('why not, in words, the most frequent first', () => {
  const seen = (unfit: Unfit): OfferEvent => ({ kind: 'seen', unfit })
  const all: OfferEvent[] = [
    seen('memory'),
    seen('hours'),
    seen('hours'),
    { kind: 'pricedOut' },
    { kind: 'pricedOut' },
    { kind: 'pricedOut' },
  ]
  expect(whyNot(all.reduce(counted, EMPTY_FUNNEL))).toEqual([
    '3 paid less than your least price',
    '2 wanted hours in which this host does not lend',
    '1 wanted more memory than is lent',
  ])
  expect(whyNot(EMPTY_FUNNEL)).toEqual([])
})
