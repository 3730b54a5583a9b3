/**
 * The audit of a chain: replays all finalized blocks from the genesis on and believes nothing but the genesis. Every
 * signature is checked, every operation executed again and its outcome compared with what the block says, the conservation
 * of supply checked after every block by the running sum, and once more at the end by counting every holder. Pure but for
 * reading the runs one by one.
 */
import { errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { committeeDigest, quorumOf } from './committee.ts'
import { type Block, digestOf, type Tip, tipAt } from './consensus/block.ts'
import { type FinalRun, statement } from './consensus/messages.ts'
import { type Genesis, networkOf } from './genesis.ts'
import type { PublicKey, Verify } from './keys.ts'
import { type Deciding, decodePayload, judgePayload, payloadDigest } from './payload.ts'
import type { Amount } from './state/amount.ts'
import { genesisState, recount, type State, supplyOf } from './state/state.ts'

export interface Audit {
  readonly network: Key
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

/** Stops at the first fault. Rejects only if the runs cannot be read. */
export async function audit(genesis: Genesis, runs: AsyncIterable<FinalRun>, verify: Verify): Promise<Audit> {
  const network = networkOf(genesis)
  let signatures = 0
  const counting: Verify = (key, bytes, signature) => {
    signatures++
    return verify(key, bytes, signature)
  }
  let chain: Chain = { state: genesisState(genesis), tip: firstTip(network, genesis), operations: 0 }
  let fault: string | undefined
  for await (const run of runs) {
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
  return { network, height, blockTimeMs, epoch, operations, signatures, ...totals, fault }
}

interface Chain {
  readonly state: State
  readonly tip: Tip
  readonly operations: number
}

function firstTip(network: Key, { createdAtMs }: Genesis): Tip {
  return { view: 0, height: 0, digest: network, timeMs: createdAtMs }
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
  const fault = certificateFault(run, tip, { network, epoch, committee }, verify)
  if (fault !== undefined) return `block ${tip.height}: ${fault}`
  return { state, tip: end ?? tip, operations }
}

function orderFault(tip: Tip, { height, view, parent, timeMs }: Block): string | undefined {
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

function certificateFault(
  { blocks, certificate }: FinalRun,
  tip: Tip,
  { network, epoch, committee }: { network: Key; epoch: number; committee: readonly PublicKey[] },
  verify: Verify,
): string | undefined {
  const { kind, view, digest, members, signatures } = certificate
  if (blocks.length === 0) return 'a run has no block'
  if (kind !== 'finalize' || digest !== tip.digest || view !== tip.view) return 'its certificate is for something else'
  const inOrder = members.every((member, i) => member < committee.length && member > (members[i - 1] ?? -1))
  if (!inOrder || signatures.length !== members.length) return 'a vote is counted twice, or of nobody in the committee'
  const quorum = quorumOf(committee.length)
  if (members.length < quorum) return `${members.length} votes, where ${quorum} bind ${committee.length}`
  const said = statement({ network, epoch }, 'finalize', view, digest)
  const forged = members.find((member, i) => !verify(committee[member]!, said, signatures[i]!))
  return forged === undefined ? undefined : `banker ${forged} has not voted for it`
}
