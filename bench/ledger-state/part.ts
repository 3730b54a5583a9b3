/**
 * One half of `bench/ledger-state.ts`, in a process of its own: `node part.ts write FILE ACCOUNTS` makes the state and keeps it,
 * `node part.ts restore FILE ROOT` reads it. Tells its parent what it took.
 */
import { hashKey, type Key } from '../../src/core/ids.ts'
import { openChainDb } from '../../src/market/ledger/chain-db.ts'
import { type Genesis, PRIVATE_LEDGER } from '../../src/market/ledger/genesis.ts'
import { amount } from '../../src/market/ledger/state/amount.ts'

import { restoreState, snapshotChunks } from '../../src/market/ledger/state/snapshot.ts'
import { genesisState, type State, stateRoot, withAccount } from '../../src/market/ledger/state/state.ts'
import { round } from '../measure.ts'

interface Memory {
  readonly rssMB: number
  readonly peakRssMB: number
}

export interface Written extends Memory {
  readonly root: Key
  /** As text: a message holds no bigint. */
  readonly held: string
  readonly rootS: number
  readonly snapshotS: number
  readonly bytes: number
  readonly chunks: number
}

export interface Restored extends Memory {
  readonly root: Key
  readonly held: string
  readonly restoreS: number
}

const genesis: Genesis = {
  v: 1,
  settings: { name: 'bench', placement: 'ip-port', replicas: 4, ...PRIVATE_LEDGER },
  createdAtMs: 1_700_000_000_000,
  bankers: [1, 2, 3, 4, 5, 6, 7]
    .map((number) => ({ host: hashKey(`host ${number}`), account: hashKey(`owner ${number}`) }))
    .sort((a, b) => (a.host < b.host ? -1 : 1)),
}

/** Accounts as they are after some months: no two alike, and the supply is right. */
function stateOf(accounts: number): State {
  let state = genesisState(genesis)
  let made = 0n
  for (let number = state.accounts.size; number < accounts; number++) {
    const nonce = 1 + (number % 5000)
    const free = amount(BigInt(number) * 7919n)
    const granted = amount(BigInt(50_000 - (number % 50_000)))
    made += free + granted
    state = withAccount(state, hashKey(`account ${number}`), {
      free,
      granted,
      earned: amount(BigInt(number % 1000)),
      nonce,
    })
  }
  return { ...state, minted: amount(state.minted + made), height: 1 }
}

function seconds(sinceMs: number): number {
  return round((performance.now() - sinceMs) / 1000)
}

function memory(): Memory {
  return {
    rssMB: round(process.memoryUsage.rss() / 1e6),
    peakRssMB: round((process.resourceUsage().maxRSS * 1024) / 1e6),
  }
}

async function write(file: string, accounts: number): Promise<Written> {
  const state = stateOf(accounts)
  const rootAtMs = performance.now()
  const root = stateRoot(state)
  const rootS = seconds(rootAtMs)
  const store = openChainDb(file)
  // A snapshot counts only beside its block; what is in that is not read here.
  store.append({ firstHeight: 1, lastHeight: 1, bytes: new Uint8Array(1) }, [], undefined)
  let bytes = 0
  let chunks = 0
  function* counted() {
    for (const chunk of snapshotChunks(state)) {
      bytes += chunk.length
      chunks++
      yield chunk
    }
  }
  const snapshotAtMs = performance.now()
  await store.keepSnapshot(1, counted())
  store.sync()
  const snapshotS = seconds(snapshotAtMs)
  store.close()
  return { root, held: String(state.held), rootS, snapshotS, bytes, chunks, ...memory() }
}

function restore(file: string, root: Key): Restored {
  const store = openChainDb(file)
  const restoreAtMs = performance.now()
  const state = restoreState(genesis, root, store.snapshot()!.chunks)
  const restoreS = seconds(restoreAtMs)
  store.close()
  return { root: stateRoot(state), held: String(state.held), restoreS, ...memory() }
}

const [what, file, argument] = process.argv.slice(2) as [string, string, string]
const told = what === 'write' ? await write(file, Number(argument)) : restore(file, argument as Key)
process.send!(told, () => process.disconnect())
