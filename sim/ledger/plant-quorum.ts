/**
 * A planted fault, for `node --import`: the committee's quorum is 2n/3, rounded down, where it must be one more. It is put
 * into the source as it is loaded, so what runs is the ledger as it is, but for that.
 */
import { registerHooks } from 'node:module'

const RIGHT = 'Math.floor((2 * seats) / 3) + 1'
const WRONG = 'Math.floor((2 * seats) / 3)'

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.endsWith('/src/market/ledger/committee.ts')) return loaded
    const source = String(loaded.source)
    if (!source.includes(RIGHT))
      throw new Error('the rule of the quorum is written in another way: plant the fault anew')
    return { ...loaded, source: source.replace(RIGHT, WRONG) }
  },
})
