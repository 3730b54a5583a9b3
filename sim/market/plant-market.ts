/** One of `MARKET_FAULTS`, for `node --import plant-market.ts?NAME`: what runs is the market as it is, but for that. */
import { registerHooks } from 'node:module'
import { MARKET_FAULTS } from './faults.ts'

const { file, right, wrong } = MARKET_FAULTS[new URL(import.meta.url).search.slice(1)]!

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.endsWith(`/${file}`)) return loaded
    const source = String(loaded.source)
    if (!source.includes(right)) throw new Error(`${file} is written in another way: plant the fault anew`)
    return { ...loaded, source: source.replaceAll(right, wrong) }
  },
})
