/**
 * The jobs under way that this host has heard of, and what it holds of each: the segments that it owns, and the commits
 * that it keeps as one of a replica group. Jobs that ended are remembered by id, so that stragglers can be told.
 */
import { ChoraleError, invariant } from '../core/errors.ts'
import { hashKey, type Key } from '../core/ids.ts'
import { MAX_ENDED_JOBS, MAX_LIVE_JOBS, MAX_PARTIALS_BYTES } from '../core/limits.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { Contact } from '../net/contact.ts'
import type { Alarm } from './alarm.ts'
import type { Failure } from './failure.ts'
import type { Place, Summary } from './messages.ts'
import type { StoredFile } from './ports.ts'
import { hasMany, type Tree, tasksOf, topLevel } from './segments.ts'
import type { Sketch } from './sketch.ts'
import { type JobSpec, jobKey, parseSpec, rootOf, segmentKey } from './spec.ts'

/** A child of a segment that this host owns. */
export interface Child {
  bytes: Uint8Array | undefined
  digest: Key | undefined
  summary: Summary | undefined
  /** Peer id of whoever reported it last, or did it. */
  from: string | undefined
  /** When it was last heard of; minus infinity: ask at once. */
  heardAtMs: number
}

/** A segment that this host owns and works on. */
export interface Segment {
  readonly job: LiveJob
  readonly level: number
  readonly index: number
  readonly key: Key
  readonly children: Child[]
  total: Uint8Array | undefined
  folding: boolean
  /** The parent's owner has the total. */
  accepted: boolean
  /** There is something that the parent's owner has not been told. */
  dirty: boolean
  sending: boolean
  retryAtMs: number
  /** When its progress was reported last, or when it was made, if nobody needs to be told of that. */
  reportedAtMs: number
  /** Until then it is kept although the overlay names another owner: it was handed over by one that leaves. */
  graceUntilMs: number
  alarms: number
  /** The first of them. */
  named: readonly Alarm[]
  failure: Failure | undefined
  /** Why it is not folded: no host that was asked takes the job's code. */
  waits: string | undefined
  // Level 1 only: the queue's bookkeeping (roots.ts).
  /** Tasks that wait. */
  todo: number
  /** Tasks whose next attempt is not the first, as far as this host can know. */
  again: number
  /** Given out again because the attempt before was lost. */
  reassigned: number
  failures: number
  workers: Sketch
  /** What is done of the tasks that hosts have been given, in tasks; as they say. */
  partly: number
}

/** One with so many children, of which nothing is known. */
export function newSegment(
  job: LiveJob,
  level: number,
  index: number,
  {
    count,
    heardAtMs,
    graceUntilMs,
    reportedAtMs,
  }: Record<'count' | 'heardAtMs' | 'graceUntilMs' | 'reportedAtMs', number>,
): Segment {
  const child: Child = { bytes: undefined, digest: undefined, summary: undefined, from: undefined, heardAtMs }
  return {
    job,
    level,
    index,
    key: placeKey(job, level, index),
    children: Array.from({ length: count }, () => ({ ...child })),
    total: undefined,
    folding: false,
    accepted: false,
    dirty: true,
    sending: false,
    retryAtMs: 0,
    reportedAtMs,
    graceUntilMs,
    alarms: 0,
    named: [],
    failure: undefined,
    waits: undefined,
    todo: 0,
    again: 0,
    reassigned: 0,
    failures: 0,
    workers: [],
    partly: 0,
  }
}

export interface KeptCommit {
  readonly bytes: Uint8Array
  readonly digest: Key
  /** Peer id of whoever brought it; undefined: nobody knows any more. */
  readonly by: string | undefined
}

/** One pass of a job over its tasks: the whole of it, unless it has several stages. */
export interface LiveJob {
  /** Of the spec of this pass. */
  readonly id: string
  /** The job. */
  readonly root: string
  readonly spec: JobSpec
  readonly specBytes: Uint8Array
  readonly tree: Tree
  readonly top: number
  readonly segments: Map<string, Segment>
  readonly commits: Map<string, KeptCommit>
  /** Peers that have the spec. */
  readonly knownBy: CappedMap<string, true>
  /** Owners found lately, of segments and of the job. */
  readonly owners: CappedMap<Key, { readonly contact: Contact; readonly untilMs: number }>
  readonly ended: AbortController
  /** Of a pass over stored input, once it has been looked up: says where its tasks are. */
  file: StoredFile | undefined
  /** Does this host run its code? Not before that is known. */
  runsHere: boolean
  /** Why not. */
  refusal: string | undefined
  /** Why a host that was given tasks of it would not do them, as long as nobody else has been given any. */
  refusedElsewhere: string | undefined
  /** Infinity: as long as the host is as it is. */
  refusesUntilMs: number
  /** Hosts that brought something of it, and so run its code, or know who does. By peer id. */
  readonly able: Map<string, Contact>
  /** When this host heard of it. */
  readonly openedAtMs: number
  /** When somebody spoke of it last. */
  touchedAtMs: number
  /** When this host asked last whether it is over. */
  askedAtMs: number
}

export function placeName(level: number, index: number): string {
  return `${level}/${index}`
}

export function placeOf({ level, index }: { level: number; index: number }): Place {
  return [level, index]
}

/**
 * The level above the top is the job itself: its one child is the top segment, its owner coordinates. A task over stored
 * input is where its first block is (DESIGN 7, "task root"), which is known once the host is `ready`.
 */
export function placeKey(job: LiveJob, level: number, index: number): Key {
  if (level > job.top) return jobKey(job.root)
  return level === 1 && needsFile(job.spec) ? inputKey(job, index) : segmentKey(job.id, level, index)
}

/** Are the tasks of this pass where their blocks are? */
export function needsFile(spec: JobSpec): boolean {
  return spec.input !== undefined && !spec.stage?.reduce
}

function inputKey({ file, spec }: LiveJob, task: number): Key {
  invariant(file && spec.input, 'the input of a job is looked up before its tasks are')
  return file.keyOf(task * spec.input.taskBlocks)
}

const MAX_ABLE = 8

/** A host has brought something of the job. */
export function noteAble({ able }: LiveJob, contact: Contact | undefined): void {
  if (!contact || able.get(contact.peer)?.incarnation === contact.incarnation) return
  able.delete(contact.peer)
  able.set(contact.peer, contact)
  for (const oldest of able.keys()) {
    if (able.size <= MAX_ABLE) break
    able.delete(oldest)
  }
}

export class JobTable {
  readonly live = new Map<string, LiveJob>()
  /** Passes, by their own ids. */
  readonly #ended = new CappedMap<string, true>(MAX_ENDED_JOBS)
  /** Jobs with all their passes. */
  readonly #over = new CappedMap<string, true>(MAX_ENDED_JOBS)
  readonly #now: () => number
  /** Called when a job is dropped, for whatever reason. */
  onDrop: (job: LiveJob) => void = () => {}
  onOpen: (job: LiveJob) => void = () => {}
  partialsBytes = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** The job, made from the spec when it is new here. Throws `limit` and `bad-message`. */
  open(id: string, specBytes: Uint8Array | undefined): LiveJob | 'need' | 'ended' {
    const known = this.live.get(id)
    if (known) {
      known.touchedAtMs = this.#now()
      return known
    }
    if (this.#ended.get(id)) return 'ended'
    if (!specBytes) return 'need'
    const spec = parseSpec(id, specBytes)
    const root = rootOf(id, spec)
    if (this.#over.get(root)) return 'ended'
    if (this.live.size >= MAX_LIVE_JOBS) throw new ChoraleError('limit', `already ${MAX_LIVE_JOBS} jobs under way here`)
    const { tasks, fanIn, leaf } = spec
    const tree = { tasks, fanIn, leaf }
    const job: LiveJob = {
      id,
      root,
      spec,
      specBytes,
      tree,
      top: topLevel(tree),
      segments: new Map(),
      commits: new Map(),
      knownBy: new CappedMap(512),
      owners: new CappedMap(4096),
      ended: new AbortController(),
      openedAtMs: this.#now(),
      file: undefined,
      runsHere: false,
      refusal: undefined,
      refusedElsewhere: undefined,
      refusesUntilMs: Number.POSITIVE_INFINITY,
      able: new Map(),
      touchedAtMs: this.#now(),
      askedAtMs: this.#now(),
    }
    this.live.set(id, job)
    this.onOpen(job)
    return job
  }

  /** Whoever looks for work in nothing but large jobs does not do so often. */
  get isThrifty(): boolean {
    return this.live.values().every(({ tree }) => hasMany(tree, 1))
  }

  /** Are there tasks that are best done where their input is? */
  get isBound(): boolean {
    return this.live.values().some(({ spec }) => needsFile(spec))
  }

  hasEnded(id: string): boolean {
    return this.#ended.get(id) === true
  }

  /** For who is asked for tasks: the jobs whose spec is here, and those whose code this host does not run. */
  told(most: number): { knows: string[]; refuses: string[] } {
    const live = [...this.live.values()]
    const refused = live.filter(({ refusal }) => refusal !== undefined)
    return { knows: live.slice(-most).map(({ id }) => id), refuses: refused.slice(-most).map(({ id }) => id) }
  }

  /** A pass is over, here and everywhere. */
  end(id: string): void {
    this.#ended.set(id, true)
    this.drop(id)
  }

  /** A job is over, with all its passes. */
  endAll(root: string): void {
    this.#over.set(root, true)
    this.end(root)
    for (const job of [...this.live.values()]) if (job.root === root) this.end(job.id)
  }

  /** The job has come to a later pass: those before it are over. */
  endBefore(root: string, stage: number): void {
    for (const job of [...this.live.values()]) {
      if (job.root === root && (job.spec.stage?.number ?? 0) < stage) this.end(job.id)
    }
  }

  /** A pass that was said to be over is not. */
  revive(id: string): void {
    this.#ended.delete(id)
  }

  /** Forgets what is held of a job. */
  drop(id: string): void {
    const job = this.live.get(id)
    if (!job) return
    this.live.delete(id)
    for (const commit of job.commits.values()) this.partialsBytes -= commit.bytes.length
    this.onDrop(job)
    job.ended.abort(new ChoraleError('aborted', 'the job is over'))
  }

  commit(job: LiveJob, level: number, index: number, bytes: Uint8Array, by?: string): 'new' | 'known' | 'conflict' {
    const name = placeName(level, index)
    const digest = hashKey(bytes)
    const known = job.commits.get(name)
    if (known) return known.digest === digest ? 'known' : 'conflict'
    if (this.partialsBytes + bytes.length > MAX_PARTIALS_BYTES) throw new ChoraleError('limit', 'no room for partials')
    this.partialsBytes += bytes.length
    job.commits.set(name, { bytes, digest, by })
    if (level === 1) this.#forgetTasks(job, index)
    return 'new'
  }

  /** The partials of tasks have no more use when their segment's is there. */
  #forgetTasks(job: LiveJob, segment: number): void {
    const { first, end } = tasksOf(job.tree, 1, segment)
    for (let task = first; task < end; task++) {
      const name = placeName(0, task)
      const commit = job.commits.get(name)
      if (commit && job.commits.delete(name)) this.partialsBytes -= commit.bytes.length
    }
  }
}
