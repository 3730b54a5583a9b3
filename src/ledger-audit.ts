/** The audit of the chain that a home keeps (market/ledger/audit.ts); its host may be running. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ChoraleError } from './core/errors.ts'
import { keptGenesis } from './ledger-genesis.ts'
import { type Audit, audit, type Stand } from './market/ledger/audit.ts'
import { openChainDb } from './market/ledger/chain-db.ts'
import type { ChainStore } from './market/ledger/chain-store.ts'
import type { FinalRun } from './market/ledger/consensus/messages.ts'
import { verifyEd25519 } from './market/ledger/ed25519.ts'
import { decodeRun } from './market/ledger/messages.ts'
import { decodeEpochHeader } from './market/ledger/receipt/epochs.ts'

export type { Audit }

/** Runs that are read at once. */
const LIMIT = { maxRuns: 256, maxBytes: 4 * 1024 * 1024 }

export function chainFile(home: string): string {
  return join(home, 'ledger', 'chain.db')
}

/** Throws `not-found` when the home keeps no chain, and `io`. `onHeight` hears how far it is. */
export async function auditHome(home: string, onHeight: (height: number, of: number) => void): Promise<Audit> {
  const genesis = keptGenesis(home)
  if (!genesis || !existsSync(chainFile(home))) {
    throw new ChoraleError('not-found', `home ${home} keeps no ledger yet: it gets one with its first chorale up`)
  }
  const store = openChainDb(chainFile(home))
  try {
    const stored = store.height // what comes meanwhile is of another audit
    const stand = store.base > 0 ? standOf(store) : undefined
    const found = await audit(genesis, runsIn(store, stored, onHeight), verifyEd25519, stand)
    if (found.fault !== undefined || found.height >= stored) return found
    return { ...found, fault: `block ${found.height + 1}: it is stored, and cannot be read` }
  } finally {
    store.close()
  }
}

/** What its first run stands on. */
function standOf(store: ChainStore): Stand {
  const headers = store.epochHeaders(Number.MAX_SAFE_INTEGER)
  const end = headers.findLastIndex((bytes) => decodeEpochHeader(bytes)?.header.height === store.base)
  const found = store.snapshot(store.base)
  return { epochHeaders: headers.slice(0, end + 1), chunks: found?.height === store.base ? found.chunks : [] }
}

async function* runsIn(store: ChainStore, until: number, onHeight: (height: number, of: number) => void) {
  let height = store.base
  while (height < until) {
    const stored = store.runs(height + 1, LIMIT)
    for (const { bytes, lastHeight } of stored) {
      const run: FinalRun | undefined = decodeRun(bytes)
      if (!run || lastHeight > until) return
      yield run
      height = lastHeight
      onHeight(height, until)
    }
    if (stored.length === 0) return
  }
}
