/** What goes into the step of consensus, and what comes out of it. */
import type { Block, Digest, Tip } from './block.ts'
import type { Certificate, Evidence, FinalRun, Message, Proposal, Vote } from './messages.ts'

/** In views up to this one the member says nothing. Written by a driver that has found its log damaged (`log.ts`). */
export interface Silence {
  readonly type: 'silence'
  readonly view: number
}

/** A line of the write-ahead log: what the member said, and by what it left a view. */
export type LogRecord = Proposal | Vote | Certificate | Silence

export type Event =
  /** A verified message (`messages.ts` says of what). */
  | { readonly type: 'message'; readonly from: number; readonly message: Message }
  /** Whether the driver has operations that are not in the chain. It spreads them to the other members too. */
  | { readonly type: 'wanted'; readonly wanted: boolean }
  /** The timer that was asked for last has run out. */
  | { readonly type: 'timer' }
  /** The answer to `build`. The block's time is not below its parent's; what a payload does may depend on it. */
  | {
      readonly type: 'built'
      readonly view: number
      readonly parent: Digest
      readonly timeMs: number
      readonly payload: Uint8Array
    }
  /** The answer to `validate`. */
  | { readonly type: 'validated'; readonly digest: Digest; readonly valid: boolean }
  /** After a start, when members can be reached again, and now and then: asks all what this member missed. */
  | { readonly type: 'probe' }

export type Effect =
  /** Append to the log, and sync before any `send` of this step: all records come before all other effects. */
  | { readonly type: 'persist'; readonly record: LogRecord }
  /** To one member, or to all others. May be lost. */
  | { readonly type: 'send'; readonly to: number | 'all'; readonly message: Message }
  /** The one timer: replaces the one that runs, if any. Undefined: no timer. */
  | { readonly type: 'timer'; readonly ms: number | undefined }
  /**
   * A payload is wanted for a block on `parent`, whose unfinalized ancestors and itself are `ancestors`, oldest first. A
   * driver that has no operation beyond those waits before it hands in an empty payload, at most delta: one may be
   * coming, the wish may pass (the step drops what is not wanted any more), and a liar who votes at rest shall not make
   * empty blocks at the pace of the network.
   */
  | { readonly type: 'build'; readonly view: number; readonly parent: Tip; readonly ancestors: readonly Block[] }
  /** Is this block's payload valid after these ancestors? The answer may come late, or never. */
  | {
      readonly type: 'validate'
      readonly digest: Digest
      readonly block: Block
      readonly ancestors: readonly Block[]
    }
  /** The next blocks of the chain, for good. To be stored before the log is cut (`log.ts`). */
  | { readonly type: 'finalize'; readonly run: FinalRun }
  /** A member lacks blocks from this height on that the state does not keep: answer from the store, in whole runs. */
  | { readonly type: 'serve'; readonly to: number; readonly height: number }
  | { readonly type: 'evidence'; readonly evidence: Evidence }
