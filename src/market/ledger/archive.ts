/** Reading the finalized chain of this host: receipts, histories, who sat in an epoch. */
import { decode } from '../../core/cbor.ts'
import { invariant } from '../../core/errors.ts'
import type { Chain, FinalBlock } from './chain.ts'
import { encodeGenesis } from './genesis.ts'
import type { PublicKey } from './keys.ts'
import type { HistoryEntry, Place } from './ledger.ts'
import { decodePayload } from './payload.ts'
import type { EpochHeader } from './receipt/epochs.ts'
import { sealedIn } from './receipt/header.ts'
import { type Receipt, type ReceiptFile, receiptOf } from './receipt/receipt.ts'
import { decodeOperation } from './state/operation.ts'

/** The committee of an epoch up to the present one. */
export function committeeOf(chain: Chain, epoch: number): readonly PublicKey[] {
  if (epoch === chain.epoch) return chain.committee
  if (epoch === 0) return chain.genesis.bankers.map(({ host }) => host)
  const [header] = chain.store.epochHeaders(epoch, epoch - 1)
  invariant(header, `the header of epoch ${epoch - 1} is not stored`)
  return (decode(header) as EpochHeader).next
}

function blockAt(chain: Chain, height: number): FinalBlock | undefined {
  const run = chain.runAt(height)
  const index = run?.blocks.findIndex((block) => block.height === height) ?? -1
  const block = run?.blocks[index]
  const payload = block && decodePayload(block.payload)
  if (!run || !payload) return undefined
  const { timeMs } = block
  return { height, timeMs, payload, sealed: () => sealedIn(run, index, committeeOf(chain, payload.epoch)) }
}

/** Undefined: there is no such operation. */
export function receiptAt(chain: Chain, { height, index }: Place): Receipt | undefined {
  const block = blockAt(chain, height)
  if (!block || block.payload.operations[index] === undefined) return undefined
  return receiptOf(chain.network, block.sealed(), block.payload, index)
}

export function receiptFileAt(chain: Chain, place: Place): ReceiptFile | undefined {
  const receipt = receiptAt(chain, place)
  if (!receipt) return undefined
  const epochs = chain.store.epochHeaders(receipt.header.epoch).map((bytes) => decode(bytes) as EpochHeader)
  return { v: 1, genesis: encodeGenesis(chain.genesis), epochs, receipt }
}

/** Where these bytes are in the ledger. `account` and `nonce` are theirs. */
export function placeOf(chain: Chain, account: PublicKey, nonce: number, bytes: Uint8Array): Place | undefined {
  return chain.store.askedWith(account, nonce).find(({ height, index }) => {
    const operation = blockAt(chain, height)?.payload.operations[index]
    return operation !== undefined && Buffer.compare(operation, bytes) === 0
  })
}

/** Newest first. */
export function historyOf(
  chain: Chain,
  account: PublicKey,
  limit: { readonly limit: number; readonly before?: Place },
): HistoryEntry[] {
  let block: FinalBlock | undefined
  return chain.store.postings(account, limit).flatMap(({ height, index, free, granted }) => {
    if (block?.height !== height) block = blockAt(chain, height)
    const bytes = block?.payload.operations[index]
    const operation = bytes && decodeOperation(bytes)
    if (!block || operation === undefined || typeof operation === 'string') return []
    const result = block.payload.results[index]!
    return [{ height, index, timeMs: block.timeMs, operation, result, effect: { free, granted } }]
  })
}
