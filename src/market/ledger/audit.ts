/**
 * The audit of a chain: replays all finalized blocks from the genesis on and believes nothing but the genesis. Every
 * signature is checked, every operation executed again and its outcome compared with what the block says, the conservation
 * of supply checked after every block by the running sum, and once more at the end by counting every holder. Pure but for
 * reading the runs one by one.
 *
 * Of a chain that begins with a snapshot the headers of all epochs till then are checked instead, and that the snapshot is the
 * state to which they lead. How that came about only those know who have the blocks.
 */
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { beginningAt } from './beginning.ts'
import { type Deciders, isCertified } from './certified.ts'
import { committeeDigest, quorumOf } from './committee.ts'
import { type Block, type BlockHeader, digestOf, digestOfHeader, type Tip, tipAt } from './consensus/block.ts'
import type { FinalRun } from './consensus/messages.ts'
import { type Genesis, networkOf } from './genesis.ts'
import type { Verify } from './keys.ts'
import { type Deciding, decodePayload, judgePayload, payloadDigest } from './payload.ts'
import { decodeEpochHeader, type EpochHeader, followEpochs } from './receipt/epochs.ts'
import type { Amount } from './state/amount.ts'
import { genesisState, recount, type State, supplyOf } from './state/state.ts'

export interface Audit {
  readonly network: Key
  /** The snapshot with which the chain begins is of this height; 0: it begins with the genesis. */
  readonly base: number
  /** Of the last block that is good; 0: none. */
  readonly height: number
  readonly blockTimeMs: number
  readonly epoch: number
  readonly operations: number
  /** Votes of bankers, and signatures of operations, that were checked. */
  readonly signatures: number
  readonly accounts: number
  readonly minted: Amount
  readonly burnt: Amount
  /** What all accounts, escrows and bonds hold, counted one by one. */
  readonly held: bigint
  /** The first thing that is wrong; undefined when all is well. */
  readonly fault: string | undefined
}

/** What a chain begins with that does not begin with the genesis. */
export interface Stand {
  readonly epochHeaders: readonly Uint8Array[]
  readonly chunks: Iterable<Uint8Array>
}

/** Stops at the first fault. Rejects only if the chain cannot be read. */
export async function audit(
  genesis: Genesis,
  runs: AsyncIterable<FinalRun>,
  verify: Verify,
  stand?: Stand,
): Promise<Audit> {
  const network = networkOf(genesis)
  let signatures = 0
  const counting: Verify = (key, bytes, signature) => {
    signatures++
    return verify(key, bytes, signature)
  }
  let chain: Chain = { state: genesisState(genesis), tip: firstTip(network, genesis), operations: 0 }
  let fault: string | undefined
  const began = stand && beginning(genesis, stand, counting)
  if (typeof began === 'string') fault = began
  else if (began) chain = began
  const base = chain.tip.height
  for await (const run of fault === undefined ? runs : []) {
    const next = follow(chain, run, network, counting)
    if (typeof next === 'string') {
      fault = next
      break
    }
    chain = next
  }
  const { state, operations } = chain
  const held = recount(state)
  if (held !== supplyOf(state)) fault ??= `the ledger holds ${held} of ${supplyOf(state)} millicredits`
  const { height, timeMs: blockTimeMs, epoch, minted, burnt } = state
  const totals = { accounts: state.accounts.size, minted, burnt, held }
  return { network, base, height, blockTimeMs, epoch, operations, signatures, ...totals, fault }
}

interface Chain {
  readonly state: State
  readonly tip: Tip
  readonly operations: number
}

function firstTip(network: Key, { createdAtMs }: Genesis): Tip {
  return { view: 0, height: 0, digest: network, timeMs: createdAtMs }
}

/** Or what is wrong with it. */
function beginning(genesis: Genesis, { epochHeaders, chunks }: Stand, verify: Verify): Chain | string {
  const headers: EpochHeader[] = []
  for (const bytes of epochHeaders) {
    const header = decodeEpochHeader(bytes)
    if (!header) return `the last header of epoch ${headers.length} is none`
    headers.push(header)
  }
  const followed = followEpochs(genesis, headers, verify)
  if ('code' in followed) return followed.message
  const end = headers.at(-1)
  if (!end) return 'no header leads to the snapshot with which the chain begins'
  try {
    return { ...beginningAt(genesis, end, chunks), operations: 0 }
  } catch (error) {
    if (errorCode(error) !== 'bad-message') throw error
    return errorMessage(error)
  }
}

/** The chain with one more run, or what is wrong with that. */
function follow(chain: Chain, run: FinalRun, network: Key, verify: Verify): Chain | string {
  const { epoch, committee } = chain.state
  const deciding = { epoch, committee: committeeDigest(committee) }
  let { state, tip, operations } = chain
  /** The tip at the block that ends the epoch, if one does: what is above it is forgotten. */
  let end: Tip | undefined
  for (const block of run.blocks) {
    const at = `block ${block.height}: `
    const fault = orderFault(tip, block)
    if (fault !== undefined) return at + fault
    const next = executed(state, deciding, block, verify)
    if (typeof next === 'string') return at + next
    if (next !== state) operations += decodePayload(block.payload)!.operations.length
    state = next
    tip = tipAt(block, digestOf(block, payloadDigest))
    if (state.epoch !== epoch) end ??= { ...tip, view: 0 }
  }
  const fault = runFault(run, tip, { network, epoch, committee }, verify)
  if (fault !== undefined) return `block ${tip.height}: ${fault}`
  return { state, tip: end ?? tip, operations }
}

function orderFault(tip: Tip, { height, view, parent, timeMs }: Block | BlockHeader): string | undefined {
  if (height !== tip.height + 1) return `it follows block ${tip.height}`
  if (parent !== tip.digest) return 'it does not name the block before it as its parent'
  if (view <= tip.view) return `its view ${view} is not after ${tip.view}`
  return timeMs < tip.timeMs ? 'its time is before that of the block before it' : undefined
}

function executed(state: State, deciding: Deciding, block: Block, verify: Verify): State | string {
  try {
    return judgePayload(state, deciding, block, verify)
  } catch (error) {
    return errorMessage(error) // supply
  }
}

/** `last`: of its blocks. */
function runFault(
  { blocks, above, certificate }: FinalRun,
  last: Tip,
  deciders: Deciders,
  verify: Verify,
): string | undefined {
  if (blocks.length === 0) return 'a run has no block'
  let tip = last
  for (const header of above) {
    if (orderFault(tip, header) !== undefined) return 'what stands on it does not lead to what was voted for'
    tip = tipAt(header, digestOfHeader(header))
  }
  const { kind, view, digest } = certificate
  if (kind !== 'finalize' || digest !== tip.digest || view !== tip.view) return 'its certificate is for something else'
  if (isCertified(deciders, certificate, verify)) return undefined
  return `it is not signed by ${quorumOf(deciders.committee.length)} of the ${deciders.committee.length} bankers`
}
