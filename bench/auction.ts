/**
 * `npm run bench -- auction --offers 100000 --json`: one round of the market's auction over so many offers, half of them
 * to sell: offers a second, by the clock and by the processor, and the memory (RSS, 10^6 bytes, Node and our code included) of a
 * process that has them, and at most during its rounds. It is done in a process of its own, which gets the offers as bytes
 * and decodes each, as a banker would; medians of `--runs` rounds, all over the same offers. Left alone, V8 lets memory grow before
 * it collects; so the same is done again in a process that is held to 200 MiB of objects, which is enough.
 *
 * There is no peer to compare with: the markets whose papers we follow have published no such figure.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Told } from './auction/part.ts'
import { readOptions } from './options.ts'

const { numbers, json } = readOptions({
  offers: { default: 100_000, min: 10, max: 100_000 },
  runs: { default: 5, min: 1, max: 100 },
})

async function part(flags: readonly string[]): Promise<Told> {
  const file = fileURLToPath(new URL('auction/part.ts', import.meta.url))
  const child = fork(file, [String(numbers.offers), String(numbers.runs)], { execArgv: [...flags] })
  const told = once(child, 'message') as Promise<[Told]>
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`a part of the measurement ended with ${code}`)
  return (await told)[0]
}

try {
  const usual = await part([])
  const tight = await part(['--max-semi-space-size=4', '--max-old-space-size=200'])
  const same = usual.price === tight.price && usual.allocations === tight.allocations
  if (!same) throw new Error('the same book gave two rounds')
  const figures = {
    ...usual,
    bookMBTight: tight.bookMB,
    peakMBTight: tight.peakMB,
    offersPerSecondTight: tight.offersPerSecond,
  }
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', ...numbers, ...figures }))
  else {
    console.log(
      `${usual.offersPerSecond} offers/s (${usual.offersPerCpuSecond} by the processor), ${usual.roundMs} ms a round`,
    )
    console.log(`${usual.allocations} allocations at ${usual.price} millicredits for a core-hour`)
    console.log(`${usual.bookMB} MB with the offers, ${usual.peakMB} MB at most during rounds`)
    console.log(
      `${tight.bookMB} and ${tight.peakMB} MB when held to 200 MiB of objects, at ${tight.offersPerSecond} offers/s`,
    )
    console.log(`${usual.decodedPerSecond} offers/s decoded`)
  }
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 1
}
