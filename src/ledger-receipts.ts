/** Files of receipts, for people: what one says, whether it is true, and who vouches for the network that it is of. */
import { readFileSync, statSync } from 'node:fs'
import { ChoraleError, errorMessage } from './core/errors.ts'
import { hashKey, type Key } from './core/ids.ts'
import { keptGenesis } from './ledger-genesis.ts'
import { verifyEd25519 } from './market/ledger/ed25519.ts'
import { networkOf } from './market/ledger/genesis.ts'
import type { Fault } from './market/ledger/receipt/fault.ts'
import { decodeReceiptFile, receiptFileFault } from './market/ledger/receipt/receipt.ts'
import { decodeOperation, type Operation } from './market/ledger/state/operation.ts'
import type { Result } from './market/ledger/state/refusal.ts'

/** A receipt of a chain of a century has fewer. */
const MAX_RECEIPT_BYTES = 1024 ** 3

export interface ReceiptFacts {
  /** The hash of its genesis. */
  readonly network: Key
  readonly height: number
  readonly index: number
  readonly epoch: number
  readonly blockTimeMs: number
  readonly operation: Operation
  readonly result: Result
  /** How many bankers have signed. */
  readonly signatures: number
}

/** Throws `io` when it cannot be read. */
export function readReceiptFile(file: string): Uint8Array {
  try {
    if (statSync(file).size > MAX_RECEIPT_BYTES) throw new ChoraleError('limit', 'it is larger than any receipt')
    return readFileSync(file)
  } catch (error) {
    throw new ChoraleError('io', `cannot read ${file}: ${errorMessage(error)}`, { cause: error })
  }
}

/** What it says, be it true or not; or why it is no receipt at all. */
export function receiptFacts(bytes: Uint8Array): ReceiptFacts | Fault {
  const file = decodeReceiptFile(bytes)
  if ('code' in file) return file
  const { header, certificate, index, result } = file.receipt
  const operation = decodeOperation(file.receipt.operation)
  if (typeof operation === 'string') return { code: 'malformed', message: 'what it is a receipt of is no operation' }
  const { height, epoch, blockTimeMs } = header
  const network = hashKey(file.genesis)
  return { network, height, index, epoch, blockTimeMs, operation, result, signatures: certificate.length }
}

/** Undefined when it is a good receipt of this network. Needs nothing else. */
export function faultIn(bytes: Uint8Array, network: Key): Fault | undefined {
  return receiptFileFault(bytes, network, verifyEd25519)
}

/** The network of the ledger that the host of this home is in; undefined: none yet. */
export function networkIn(home: string): Key | undefined {
  const genesis = keptGenesis(home)
  return genesis && networkOf(genesis)
}
