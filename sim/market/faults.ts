/** Faults that are planted into the market's source as it is loaded: what must be there, and what stands there instead. */

interface Fault {
  readonly file: string
  readonly right: string
  readonly wrong: string
}

export const MARKET_FAULTS: Readonly<Record<string, Fault>> = {
  /** A side says its part again when it is too late for it, and never that it is. */
  'no-expiry': {
    file: 'src/market/allocation/steps.ts',
    right: "{ kind: 'expire', allocation: id }",
    wrong: 'undefined',
  },
  'pays-twice': {
    file: 'src/market/ledger/state/allocations/settle.ts',
    right: 'const wage = minus(worthOf(allocation, done), worthOf(allocation, paid))',
    wrong:
      'const once = minus(worthOf(allocation, done), worthOf(allocation, paid)); const wage = total(allocation.escrow) < 2n * once ? once : plus(once, once)',
  },
}
