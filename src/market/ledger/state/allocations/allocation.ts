/**
 * Allocations: what a match has brought together, until it is over (DESIGN 10). A supplier's host does tasks of a customer's
 * job, window by window: it commits to what it has done, is examined, and is paid. All credits of it are here: the customer's
 * in `escrow`, the supplier's in `stake`.
 *
 * ```
 *   signing --sign (twice)--> running --commit--> committed --reveal--> revealed --approve--> running ... closed
 *                            ^                    |                    |   \--challenge--> challenged --show--> shown
 *                            |<----- expire ------+<----- expire ------+                                       |
 *                            |     (it is paid)        (it is paid)                     dispute, draw (twice) <-+
 *                                                          closed <-- verdicts <-- seals <-- mediating <--/
 * ```
 *
 * What is closed holds nothing, and is kept for a day, so that whoever has to do with it can read what came of it.
 * Copies of tasks of which nothing came go back to the customer's offer in the book, for another supplier, unless the customer
 * has ended the allocation, or was at fault.
 *
 * Each wait has a deadline in block time. When it is over anybody may say so (`expire`), and the one who was waited for bears it.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../../../core/cbor.ts'
import { hashKey, type Key } from '../../../../core/ids.ts'
import { MAX_JOB_TASKS, MAX_TASK_WORK_MI, MAX_WINDOW_RANGES } from '../../../../core/limits.ts'
import { KeySchema, record } from '../../../../net/message.ts'
import { PPM } from '../../../verification/draws.ts'
import { PANEL_SEATS } from '../../../verification/mediation.ts'
import { TimeSchema } from '../../genesis.ts'
import type { PublicKey } from '../../keys.ts'
import { type Amount, AmountSchema } from '../amount.ts'
import type { Purse } from '../purse.ts'

/** How long each side is waited for, in milliseconds of block time. A host that restarts should be back by then. */
export const PATIENCE = {
  /** Both, to sign. */
  sign: 120_000,
  /** The customer, to reveal its nonce, and then to approve or challenge. */
  reveal: 60_000,
  approve: 120_000,
  /** The supplier, to show what was challenged. */
  show: 120_000,
  /** The customer, to dispute what was shown. */
  dispute: 120_000,
  /** Both, to reveal what mediators are drawn by. */
  draw: 120_000,
  /** Mediators, to do a task again; then to say what they found. */
  seal: 600_000,
  verdict: 120_000,
  /** The supplier, to commit to its last window when the allocation's time is over. */
  lastWindow: 120_000,
} as const

/** What is closed is kept for so long, in milliseconds of block time. */
export const CLOSED_MS = 24 * 3_600_000

/** Windows of one allocation: a chain of nonces has so many links, and one for a draw. */
export const ALLOCATION_WINDOWS = 1024
/** Millicredits to each of them that was not outvoted, whichever side is right. It does not come out of fines, which are burnt. */
export const MEDIATOR_FEE = 100n as Amount
/** Millicredits of the bond of a mediator that was outvoted. Whoever does the work is seldom: with a bad machine, or among liars. */
export const MEDIATOR_FINE = 500n as Amount
/** What each side has at stake at least, the customer beyond the price: the fees of a dispute that it loses. */
export const LEAST_BOND = (BigInt(PANEL_SEATS) * MEDIATOR_FEE) as Amount
/** Who does not sign, or gives up, loses this share of deposit (at most of the price) or bond: 1 of so many parts. */
export const DESERTION_PARTS = 10n

const Tasks = Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS })
const TaskNumber = Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS })
export const RangeSchema = Type.Tuple([TaskNumber, TaskNumber])
export const RangesSchema = Type.Array(RangeSchema, {
  minItems: 1,
  maxItems: MAX_WINDOW_RANGES,
})
const Digest = KeySchema
/** The digest of the task's result, as a mediator found it; or that doing it twice gives two (`Vote` of mediation.ts). */
export const FindingSchema = Type.Union([Digest, Type.Literal('unstable')])
export type Finding = Static<typeof FindingSchema>

const Window = record({ tasks: RangesSchema, root: Digest, committedMs: TimeSchema })
const deadline = { deadlineMs: TimeSchema }
const OutcomeSchema = Type.Union([
  /** All of its tasks were paid. */
  Type.Literal('done'),
  /** The customer has ended it, or its time was over; nobody is at fault. */
  Type.Literal('ended'),
  /** Not both have signed. */
  Type.Literal('unsigned'),
  /** The supplier has given up, or nothing came of it. */
  Type.Literal('deserted'),
  /** The supplier is guilty, or has not shown its work. */
  Type.Literal('cheated'),
  /** The customer has disputed what was right, or withheld its part of a draw. */
  Type.Literal('wronged'),
  /** The job is not deterministic. */
  Type.Literal('unstable'),
  /** Too few mediators have said what they found. */
  Type.Literal('undecided'),
])
/** How an allocation was closed. */
export type Outcome = Static<typeof OutcomeSchema>

const examined = { ...deadline, window: Window, nonce: KeySchema }
const shown = { ...examined, position: TaskNumber, digest: Digest }
const drawn = { ...shown, mediators: Type.Array(KeySchema, { maxItems: PANEL_SEATS }) }

export const PhaseSchema = Type.Union([
  record({ name: Type.Literal('signing'), ...deadline }),
  record({ name: Type.Literal('running'), ...deadline }),
  record({ name: Type.Literal('committed'), ...deadline, window: Window }),
  record({ name: Type.Literal('revealed'), ...examined }),
  record({ name: Type.Literal('challenged'), ...examined, position: TaskNumber }),
  record({ name: Type.Literal('shown'), ...shown }),
  /** What each side has revealed for the draw of mediators. */
  record({
    name: Type.Literal('drawing'),
    ...shown,
    /** When the dispute began: who volunteers after it is not drawn. */
    sinceMs: TimeSchema,
    ofCustomer: Type.Optional(KeySchema),
    ofSupplier: Type.Optional(KeySchema),
  }),
  /** Hashes of what each has found, in the order of `mediators`. */
  record({
    name: Type.Literal('sealing'),
    ...drawn,
    seals: Type.Array(Type.Union([KeySchema, Type.Null()]), { maxItems: PANEL_SEATS }),
  }),
  record({
    name: Type.Literal('unsealing'),
    ...drawn,
    seals: Type.Array(Type.Union([KeySchema, Type.Null()]), { maxItems: PANEL_SEATS }),
    findings: Type.Array(Type.Union([FindingSchema, Type.Null()]), { maxItems: PANEL_SEATS }),
  }),
  /** Over; forgotten after its deadline. */
  record({ name: Type.Literal('closed'), ...deadline, outcome: OutcomeSchema }),
])
export type Phase = Static<typeof PhaseSchema>
export type PhaseNamed<N extends Phase['name']> = Phase & { readonly name: N }

/** What both sides have agreed to. */
export interface Terms {
  readonly customer: PublicKey
  readonly supplier: PublicKey
  /** The supplier's host that works. */
  readonly host: PublicKey
  /** The customer's, in the book. */
  readonly offer: Key
  readonly job: Key
  /** Tasks of the job, and how often each is paid: to as many accounts. */
  readonly jobTasks: number
  readonly replicas: number
  /** What is paid at most: n tasks are worth floor(price * n / tasks) together. */
  readonly tasks: number
  readonly price: Amount
  /** What the customer has paid to allocators for it. */
  readonly fee: Amount
  /** Of one window at most: more would be at stake than the deposit answers for. */
  readonly windowTasks: number
  /** Instructions of one task, in millions, as the customer has offered: it takes so long to be done again. */
  readonly taskWorkMi: number
  /** Share of its tasks that is to be tested, ppm: what the customer wants, or what the supplier's record asks for. */
  readonly rate: number
  /** Of the supplier: pays mediators if it loses, and the rest is burnt when it cheats. */
  readonly deposit: Amount
  /** Of the customer: pays mediators if it loses or nobody wins, and is burnt when it cheats. */
  readonly bond: Amount
  /** The last window is committed to by then. Moves on while the supplier waits for a window to be settled. */
  readonly untilMs: number
}

export interface Allocation extends Terms {
  /** What is left of price and bond, and of the deposit. */
  readonly escrow: Purse
  readonly stake: Purse
  /**
   * What the customer has revealed last of its chain of nonces (verification/nonces.ts), and of which window; first the anchor, of
   * window -1. A chain is of one allocation: it tells others what is tested. Null until it has signed.
   */
  readonly shownNonce: Key | null
  readonly shownWindow: number
  /** Windows that were committed to, and tasks that were paid. */
  readonly windows: number
  readonly paid: number
  /** Tasks that the customer has done again, of windows that it approved. */
  readonly tested: number
  /** The customer needs no more; what was done by then is still paid. */
  readonly isEnding: boolean
  /** The anchor of the supplier's part of a draw; null until it has signed. */
  readonly secretAnchor: Key | null
  readonly phase: Phase
}

const PURSE = record({ free: AmountSchema, granted: AmountSchema })

/** As it is kept in the state's tree and in snapshots. */
export const AllocationSchema = record({
  customer: KeySchema,
  supplier: KeySchema,
  host: KeySchema,
  offer: KeySchema,
  job: KeySchema,
  jobTasks: Tasks,
  replicas: Type.Integer({ minimum: 1, maximum: 255 }),
  tasks: Tasks,
  price: AmountSchema,
  fee: AmountSchema,
  windowTasks: Tasks,
  taskWorkMi: Type.Integer({ minimum: 1, maximum: MAX_TASK_WORK_MI }),
  rate: Type.Integer({ minimum: 0, maximum: PPM }),
  deposit: AmountSchema,
  bond: AmountSchema,
  untilMs: TimeSchema,
  escrow: PURSE,
  stake: PURSE,
  shownNonce: Type.Union([KeySchema, Type.Null()]),
  shownWindow: Type.Integer({ minimum: -1, maximum: ALLOCATION_WINDOWS }),
  windows: Type.Integer({ minimum: 0, maximum: ALLOCATION_WINDOWS }),
  paid: TaskNumber,
  tested: TaskNumber,
  isEnding: Type.Boolean(),
  secretAnchor: Type.Union([KeySchema, Type.Null()]),
  phase: PhaseSchema,
})

/** Millicredits that the first n tasks are worth together. */
export function worthOf({ price, tasks }: Pick<Terms, 'price' | 'tasks'>, n: number): Amount {
  return ((price * BigInt(n)) / BigInt(tasks)) as Amount
}

/**
 * What is waited longer for who does tasks again, in ms: three times what a core of reference speed takes for them, which is a
 * millisecond for a million instructions, and a day at most.
 */
export function redoMs({ taskWorkMi }: Pick<Terms, 'taskWorkMi'>, tasks: number): number {
  return Math.min(3 * tasks * taskWorkMi, MAX_REDO_MS)
}
const MAX_REDO_MS = 24 * 3_600_000

/** Names what was matched, by its number among all that came into the book or out of it. */
export function allocationId(network: Key, sequence: number): Key {
  return hashKey(encode(['chorale allocation', network, sequence]))
}

/** Tasks that were claimed of a customer's job by all suppliers, or by one of them. */
export function claimId({ customer, job }: Pick<Terms, 'customer' | 'job'>, supplier?: PublicKey): Key {
  return hashKey(encode(['chorale claims', customer, job, ...(supplier === undefined ? [] : [supplier])]))
}

/** What hides a mediator's finding until all have sealed theirs. */
export function sealOf(allocation: Key, mediator: PublicKey, finding: Finding, salt: Key): Key {
  return hashKey(encode(['chorale finding', allocation, mediator, finding, salt]))
}
