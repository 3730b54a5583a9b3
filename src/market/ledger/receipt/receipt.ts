/**
 * Receipts (DESIGN 9): that an operation is in the ledger, with its result, and final. A receipt verifies offline, from the
 * hash of the genesis and the chain of epochs, and whoever finds it bad learns what is wrong with it.
 *
 * ```
 *   genesis hash -> first bankers -> epoch headers ... -> committee of the epoch
 *                                                          | a quorum signs
 *   operation, result -> path -> operations root --in--> header (or one above it)
 * ```
 *
 * What it does not tell: what came later. That an account has credits now, nobody can prove to one who is offline.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../../core/cbor.ts'
import { type Checker, checker } from '../../../core/codec.ts'
import { errorMessage } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_BLOCK_OPERATIONS, MAX_OPERATION_BYTES } from '../../../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../../../net/message.ts'
import { decodeCanonical } from '../canonical.ts'
import { decodeGenesis, type Genesis, networkOf } from '../genesis.ts'
import type { Verify } from '../keys.ts'
import type { Payload } from '../payload.ts'
import { isResult, type Result } from '../state/refusal.ts'
import { type EpochHeader, EpochHeaderSchema, followEpochs } from './epochs.ts'
import { type Fault, faulty } from './fault.ts'
import { SEALED, type Sealed, sealFault } from './header.ts'
import { operationPath, rootOfPath } from './operations-tree.ts'

const Count = Type.Integer({ minimum: 0, maximum: MAX_BLOCK_OPERATIONS })

export const ReceiptSchema = record({
  network: KeySchema,
  ...SEALED,
  operation: BytesSchema(MAX_OPERATION_BYTES),
  result: Type.Refine(Type.Unsafe<Result>(Type.Unknown()), isResult),
  /** The operation's place in its block, and how many are in it. */
  index: Count,
  count: Count,
  /** From the operation upwards. */
  path: Type.Array(KeySchema, { maxItems: 32 }),
})
export type Receipt = Static<typeof ReceiptSchema>

/** What a file of a receipt holds: all that one needs who knows the network's id. */
const ReceiptFileSchema = record({
  v: Type.Literal(1),
  genesis: BytesSchema(64 * 1024),
  /** The last header of each epoch before the receipt's; more do no harm. */
  epochs: Type.Array(EpochHeaderSchema),
  receipt: ReceiptSchema,
})
export type ReceiptFile = Static<typeof ReceiptFileSchema>
const fileChecker: Checker<ReceiptFile> = checker(ReceiptFileSchema)

/** The receipt of the operation at an index of a block that is final. */
export function receiptOf(
  network: Key,
  sealed: Sealed,
  { operations, results }: Pick<Payload, 'operations' | 'results'>,
  index: number,
): Receipt {
  const path = operationPath(operations, results, index)
  const [operation, result] = [operations[index]!, results[index]!]
  return { network, ...sealed, operation, result, index, count: operations.length, path }
}

/** Undefined when it is good. Pure, and needs nothing but its arguments. `headers`: see `followEpochs`. */
export function receiptFault(
  receipt: Receipt,
  genesis: Genesis,
  headers: readonly EpochHeader[],
  verify: Verify,
): Fault | undefined {
  const network = networkOf(genesis)
  if (receipt.network !== network) {
    return faulty('wrong-network', `it is of network ${receipt.network}, not of ${network}`)
  }
  const { header } = receipt
  const followed = followEpochs(genesis, headers, verify)
  if ('code' in followed) return followed
  const epoch = followed.epochs[header.epoch]
  if (!epoch) {
    const known = followed.epochs.length - 1
    return faulty('epoch-chain', `it is of epoch ${header.epoch}, and the headers lead to epoch ${known} only`)
  }
  const after = followed.epochs[header.epoch + 1]
  if (header.height <= epoch.afterHeight || (after && header.height > after.afterHeight)) {
    return faulty('epoch-chain', `height ${header.height} is not in epoch ${header.epoch}`)
  }
  const fault = sealFault(network, receipt, epoch.committee, verify)
  if (fault) return fault
  if (rootOfPath(receipt) === header.operationsRoot) return undefined
  return faulty('broken-path', 'the block does not hold this operation with this result at this place')
}

export function encodeReceiptFile(file: Omit<ReceiptFile, 'v'>): Uint8Array {
  return encode({ v: 1, ...file })
}

/** The file, or what is wrong with it as a whole; the receipt in it is for `receiptFault` to judge. Never throws. */
export function decodeReceiptFile(bytes: Uint8Array): ReceiptFile | Fault {
  const value = decodeCanonical(bytes)
  try {
    return fileChecker.parse(value)
  } catch (error) {
    return faulty('malformed', `the file is no receipt: ${errorMessage(error)}`)
  }
}

/** What is wrong with a file of a receipt of this network. Undefined when it is good. Never throws. */
export function receiptFileFault(bytes: Uint8Array, network: Key, verify: Verify): Fault | undefined {
  const file = decodeReceiptFile(bytes)
  if ('code' in file) return file
  if (hashKey(file.genesis) !== network) return faulty('wrong-network', `its genesis is not that of ${network}`)
  try {
    return receiptFault(file.receipt, decodeGenesis(file.genesis), file.epochs, verify)
  } catch (error) {
    return faulty('malformed', errorMessage(error))
  }
}
