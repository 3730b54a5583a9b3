/**
 * The messages of jobs (DESIGN 7). Those that carry a job's work name it by id and may carry its spec; who lacks the spec
 * answers `need`, and the sender sends it along. `ended` in a reply: that job is over, forget it.
 */
import { type Static, Type } from 'typebox'
import { MAX_FRAME_BYTES, MAX_JOB_TASKS, MAX_KNOWN_LOADS, MAX_PARTIAL_BYTES, MAX_SPEC_BYTES } from '../core/limits.ts'
import { BytesSchema, ContactSchema, defineMessage, record } from '../net/message.ts'
import { Alarms } from './alarm.ts'
import { FailureSchema, FailureText } from './failure.ts'
import { SKETCH_SIZE } from './sketch.ts'
import { FAN_IN, JobId } from './spec.ts'
import { TallySchema } from './tally.ts'

/** What a message's items may add up to, so that a frame is never exceeded. */
export const MAX_ITEMS_BYTES = MAX_FRAME_BYTES - MAX_SPEC_BYTES - 4096
export const MAX_ITEMS = 512
export const MAX_GRANTS = 64
/** Estimates above it do not travel. */
export const MAX_ESTIMATE_BYTES = 1024
/** Forwardings of a bundle; whoever asked for it asks again when it gets lost. */
export const MAX_BUNDLE_HOPS = 40
/** Hosts that who is asked for an errand may name. */
export const MAX_OTHERS = 4
export const MAX_WATCH_WAIT_MS = 20_000
/** Nobody is at the tasks of one grant for longer. */
const MAX_TASKS_MS = 30 * 24 * 3_600_000

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Spec = Type.Optional(BytesSchema(MAX_SPEC_BYTES))
const Level = Type.Integer({ minimum: 0, maximum: 8 })
export const Index = Type.Integer({ minimum: 0, maximum: MAX_JOB_TASKS - 1 })
const Mask = Type.Integer({ minimum: 1, maximum: 2 ** FAN_IN - 1 })
const GrantId = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Partial = BytesSchema(MAX_PARTIAL_BYTES)
const Yes = Type.Optional(Type.Literal(true))
export const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

const Status = { need: Yes, ended: Yes }

/** Of what is known of a segment or a job, what only grows. */
export const PROGRESS = {
  /** Tasks that are done. */
  done: Count,
  /** Attempts beyond the first. */
  reassigned: Count,
  /** Sketch of the hosts that worked. */
  workers: Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 }), { maxItems: SKETCH_SIZE }),
  /** Who did how many of them. */
  doneBy: Type.Optional(TallySchema),
  /** Segments for which two different results came. */
  alarms: Count,
  /** The first of them. */
  named: Type.Optional(Alarms),
}

/** What is known of a segment, finished or not; summed up the tree. */
export const SummarySchema = record({
  ...PROGRESS,
  /** Tasks in queues; as of some time ago. */
  queued: Count,
  /** Tasks that hosts have been given; likewise. */
  running: Count,
  /** What those say is done of them, in tasks: 1.5. */
  partly: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_JOB_TASKS })),
  /** A fold over what is there, for people. */
  estimate: Type.Optional(BytesSchema(MAX_ESTIMATE_BYTES)),
  /** Why the job's code cannot go on. */
  failure: Type.Optional(FailureSchema),
  /** Why some of it waits for another host. */
  waits: Type.Optional(FailureText),
})
export type Summary = Static<typeof SummarySchema>

/**
 * "See that these segments get done", grouped by next hop. Fresh ones come from the first dispatch. The others are
 * asked for because nobody has heard of them: their owner reports to the parent's owner and has lost tasks done again.
 */
export const JobDispatch = defineMessage('jobs/dispatch', {
  request: record({
    job: JobId,
    spec: Spec,
    level: Level,
    cover: BytesSchema(MAX_ITEMS_BYTES),
    fresh: Type.Boolean(),
    /** From a host that leaves: take it, even if it is not yours yet. */
    handover: Type.Boolean(),
    hops: Type.Integer({ minimum: 0, maximum: MAX_BUNDLE_HOPS }),
  }),
  reply: record(Status),
})

/** "This job is over", along the same ways. `spec`: where its segments are does not follow from its id alone. */
export const JobEnd = defineMessage('jobs/end', {
  request: record({
    job: JobId,
    spec: Spec,
    cover: BytesSchema(MAX_ITEMS_BYTES),
    segments: Type.Integer({ minimum: 1, maximum: MAX_JOB_TASKS }),
    hops: Type.Integer({ minimum: 0, maximum: MAX_BUNDLE_HOPS }),
  }),
  reply: record({}),
})

const Load = record({
  contact: ContactSchema,
  /** How long what others may be given will last, with those who work on it now. */
  restMs: Count,
  /** How long ago that was so, as far as it was not on the way. */
  ageMs: Count,
  hops: Type.Integer({ minimum: 0, maximum: 8 }),
})
export type Load = Static<typeof Load>
const Loads = Type.Array(Load, { maxItems: MAX_KNOWN_LOADS })

/** "There is work": hosts with queues, as far as the sender knows, itself first. */
export const JobLoads = defineMessage('jobs/loads', {
  request: record({ job: JobId, loads: Loads }),
  /** Busy: it has enough to do. Whoever is not, wants others to know too. */
  reply: record({ busy: Type.Boolean(), loads: Loads }),
})

const Ms = Type.Integer({ minimum: 0, maximum: MAX_TASKS_MS })
const Grant = record({
  /** Drawn at random: whoever knows it was given the grant, or a part of it. */
  id: GrantId,
  job: JobId,
  segment: Index,
  mask: Mask,
  /** How long the root expects it to take, those given with it included, ms: no renewal is needed before. */
  termMs: Ms,
  /** How long ago the root gave it. */
  ageMs: Type.Optional(Ms),
  /** Whose tasks they are, when they were given to the sender and are passed on. */
  root: Type.Optional(ContactSchema),
})
export type Grant = Static<typeof Grant>

/** What a host gives of its queue, or passes on, and what it knows of others. */
const Given = {
  grants: Type.Array(Grant, { maxItems: MAX_GRANTS }),
  specs: Type.Array(record({ job: JobId, spec: BytesSchema(MAX_SPEC_BYTES) }), { maxItems: 2 }),
  /** Of the jobs that the asker knows, those that are over. */
  ended: Type.Optional(Type.Array(JobId, { maxItems: MAX_GRANTS })),
  /** What is left; also of those who have no place in the overlay, so that nobody could pull from them. */
  queued: Count,
  /** Its own figure first. */
  loads: Loads,
}
const GivenSchema = record(Given)
export type Given = Static<typeof GivenSchema>

const Cores = Type.Integer({ minimum: 1, maximum: 1024 })
const TookMs = Type.Number({ minimum: 0, maximum: MAX_TASKS_MS })

/** A host that has little to do, or nothing of other jobs, asks one that has tasks in its queue or was given them. */
export const JobPull = defineMessage('jobs/pull', {
  request: record({
    cores: Cores,
    /** Jobs whose spec the asker has. */
    knows: Type.Array(JobId, { maxItems: MAX_GRANTS }),
    /** Jobs whose code the asker does not run. */
    refuses: Type.Array(JobId, { maxItems: MAX_GRANTS }),
    /** A leaf waits here for news. */
    waitMs: Type.Integer({ minimum: 0, maximum: MAX_WATCH_WAIT_MS }),
    /** How long it has enough to do still, and how long a task has taken lately on one of its cores. */
    restMs: Count,
    taskMs: Type.Optional(TookMs),
    loads: Loads,
  }),
  reply: GivenSchema,
})

/** From the worker to the root: at work on these still, and not on those. What is not renewed is granted anew. */
export const JobRenew = defineMessage('jobs/renew', {
  request: record({
    held: Type.Array(GrantId, { maxItems: MAX_ITEMS }),
    dropped: Type.Array(Type.Tuple([GrantId, Mask]), { maxItems: MAX_ITEMS }),
    /** Why the sender runs none of the tasks of those dropped, if it is for their code. */
    why: Type.Optional(FailureText),
    /** Of those held: what is done of them, in tasks, where their code tells. */
    shares: Type.Array(Type.Tuple([GrantId, Type.Number({ minimum: 0, maximum: FAN_IN })]), { maxItems: MAX_ITEMS }),
  }),
  reply: record({}),
})

const Result = record({ level: Type.Integer({ minimum: 0, maximum: 1 }), index: Index, bytes: Partial })
export type Result = Static<typeof Result>

/** From the worker to the root of the tasks; answered when the partials are committed. */
export const JobResults = defineMessage('jobs/results', {
  request: record({
    job: JobId,
    spec: Spec,
    segment: Index,
    /** The grant that it answers, and which of its tasks. */
    grant: GrantId,
    mask: Mask,
    results: Type.Array(Result, { maxItems: FAN_IN }),
    /** The rest of these tasks' results follows in another message. */
    more: Type.Boolean(),
    /** All of these tasks. */
    tookMs: TookMs,
    failure: Type.Optional(FailureSchema),
    worker: Type.String({ maxLength: 128 }),
    /** Cores that have nothing else to do: what a pull would bring may come with the answer. */
    wants: Type.Optional(Cores),
  }),
  reply: record({ ...Status, moved: Yes, given: Type.Optional(GivenSchema) }),
})

const Commit = record({ level: Level, index: Index, bytes: Partial })
export type Commit = Static<typeof Commit>
const Place = Type.Tuple([Level, Index])
export type Place = Static<typeof Place>

/** From a segment's owner to its replica group. Answers with those for which it holds another digest. */
export const JobCommit = defineMessage('jobs/commit', {
  request: record({ job: JobId, spec: Spec, commits: Type.Array(Commit, { maxItems: MAX_ITEMS }) }),
  reply: record({ ...Status, conflicts: Type.Array(Place, { maxItems: MAX_ITEMS }) }),
})

/** A new owner asks what has been committed for segments, their children of level 0 included. */
export const JobRecall = defineMessage('jobs/recall', {
  request: record({ job: JobId, places: Type.Array(Place, { maxItems: MAX_ITEMS }) }),
  reply: record({ commits: Type.Array(Commit, { maxItems: MAX_ITEMS }), more: Type.Boolean() }),
})

const Up = record({ level: Level, index: Index, summary: SummarySchema, bytes: Type.Optional(Partial) })
export type Up = Static<typeof Up>

/** From the owners of segments to the owner of their parent. Answers with those whose parent it does not own. */
export const JobUp = defineMessage('jobs/up', {
  request: record({ job: JobId, spec: Spec, items: Type.Array(Up, { maxItems: MAX_ITEMS }), loads: Loads }),
  reply: record({
    ...Status,
    moved: Type.Array(Place, { maxItems: MAX_ITEMS }),
    /** Of which the total is here already, though it was not sent now. */
    known: Type.Array(Place, { maxItems: MAX_ITEMS }),
    loads: Loads,
  }),
})

/**
 * "Fold these, or say what follows this total, for me": from a host that does not run the job's code. The parts come in
 * order, in as many messages as they need; `busy` answers when some are missing, and to too many errands at once. Who does
 * not run it either names some that may.
 */
export const JobErrand = defineMessage('jobs/errand', {
  request: record({
    job: JobId,
    spec: Spec,
    work: Type.Union([Type.Literal('fold'), Type.Literal('after')]),
    /** Of the asker's. */
    errand: GrantId,
    /** The number of the first of these parts, and how many there are in all. */
    at: Type.Integer({ minimum: 0, maximum: FAN_IN - 1 }),
    of: Type.Integer({ minimum: 1, maximum: FAN_IN }),
    parts: Type.Array(Partial, { minItems: 1, maxItems: FAN_IN }),
  }),
  reply: record({
    ...Status,
    refused: Yes,
    others: Type.Array(ContactSchema, { maxItems: MAX_OTHERS }),
    /** The partial; or what follows the total, as dag-cbor. */
    bytes: Type.Optional(Partial),
    /** The job's code failed. */
    failure: Type.Optional(FailureText),
  }),
})

/** The view of a job from the owner of its key, as soon as its digest is another than the one seen. */
export const JobWatch = defineMessage('jobs/watch', {
  request: record({
    job: JobId,
    seen: Type.String({ maxLength: 64 }),
    waitMs: Type.Integer({ minimum: 0, maximum: MAX_WATCH_WAIT_MS }),
  }),
  reply: record({
    view: Type.Optional(BytesSchema(MAX_FRAME_BYTES - 1024)),
    digest: Type.String({ maxLength: 64 }),
    /** The pass that the job is in. */
    stage: Type.Optional(Count),
    moved: Yes,
  }),
})
