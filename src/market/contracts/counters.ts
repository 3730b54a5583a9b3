/** What is counted of contracts, for metrics. */
export const NAMES = [
  'badOpenings', // of what a supplier had committed to, it opened something else
  'missingOpenings', // a supplier did not open what is tested
  'untested', // a task that this host cannot do
  'refusedOpenings', // asked for by somebody whom it does not concern, or of what is not tested
  'refusedSpecs',
  'refusedSteps', // the ledger did not take what this host asked for
] as const
export type ContractCounter = (typeof NAMES)[number]
