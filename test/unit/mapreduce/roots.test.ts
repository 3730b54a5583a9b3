import { beforeEach, describe, expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { JobTable, type LiveJob, type Segment } from '../../../src/mapreduce/job-table.ts'
import { LEASE_MS, Roots } from '../../../src/mapreduce/roots.ts'
import { bitsOf, childCount, countBits, highestBits, lowestBits } from '../../../src/mapreduce/segments.ts'
import { encodeSpec, FAN_IN, jobIdOf } from '../../../src/mapreduce/spec.ts'
import { summarize } from '../../../src/mapreduce/summary.ts'

let nowMs = 0
let roots: Roots

function jobOf(tasks: number, nonce = 0): LiveJob {
  const bytes = encodeSpec({
    v: 1,
    module: 'builtin:waves',
    name: 'waves',
    params: {},
    seed: 1,
    tasks,
    fanIn: FAN_IN,
    leaf: 16,
    engine: 'builtin/1',
    submitter: 'peer-1',
    nonce: nonce.toString(16).padStart(32, '0'),
    submittedAtMs: 0,
  })
  return new JobTable(() => nowMs).open(jobIdOf(bytes), bytes) as LiveJob
}

function segmentOf(job: LiveJob, index: number): Segment {
  const child = { bytes: undefined, digest: undefined, summary: undefined, from: undefined, heardAtMs: 0 }
  return {
    job,
    level: 1,
    index,
    key: hashKey(`${index}`),
    children: Array.from({ length: childCount(job.tree, 1, index) }, () => ({ ...child })),
    total: undefined,
    folding: false,
    accepted: false,
    dirty: false,
    sending: false,
    retryAtMs: 0,
    reportedAtMs: 0,
    graceUntilMs: 0,
    alarms: 0,
    failure: undefined,
    waits: undefined,
    todo: 0,
    again: 0,
    reassigned: 0,
    failures: 0,
    named: [],
    partly: 0,
    workers: [],
  }
}

function finish(segment: Segment, mask: number): void {
  for (const bit of bitsOf(mask)) (segment.children[bit] as Segment['children'][0]).bytes = new Uint8Array(1)
  roots.settle(segment)
}

/** One task of 100 ms has been seen, so that grants have a size. */
function seen(segment: Segment, tookMs = 100): void {
  const [lease] = roots.grant('teacher', 1, 1)
  finish(segment, lease?.mask ?? 0)
  expect(roots.answered(lease?.id ?? -1, lease?.mask ?? 0, 'teacher', tookMs)).toBe(true)
}

beforeEach(() => {
  nowMs = 1_000_000
  roots = new Roots('self', seededRandom('roots'), () => nowMs)
})

describe('grants', () => {
  test('an unknown job is given out task by task, a known one by what keeps a core busy for a while', () => {
    const job = jobOf(64)
    const segments = [0, 1, 2, 3].map((index) => segmentOf(job, index))
    for (const segment of segments) roots.add(segment)
    expect(roots.queued()).toBe(64)
    expect(roots.grant('a', 2, 64).map(({ mask }) => countBits(mask))).toEqual([1, 1])
    seen(segments[0] as Segment)
    expect(roots.grant('b', 2, 64).map(({ mask }) => countBits(mask))).toEqual([4, 4])
    expect(roots.queued()).toBe(64 - 2 - 1 - 8)
  })

  test('tasks that take no time go out as whole segments, a quarter of the queue at a time', () => {
    const job = jobOf(640)
    const segments = Array.from({ length: 40 }, (_, index) => segmentOf(job, index))
    for (const segment of segments) roots.add(segment)
    seen(segments[0] as Segment, 0)
    const masks = roots.grant('a', 1, 64).map(({ mask }) => countBits(mask))
    expect(masks.reduce((a, b) => a + b)).toBe(Math.ceil(639 / 4))
    expect(Math.max(...masks)).toBe(16)
  })

  test('no task is granted to two hosts while both are in time', () => {
    const job = jobOf(160)
    for (let index = 0; index < 10; index++) roots.add(segmentOf(job, index))
    const granted = new Set<number>()
    for (let turn = 0; turn < 200; turn++) {
      for (const { segment, mask } of roots.grant(`worker ${turn}`, 1 + (turn % 3), 64)) {
        for (const bit of bitsOf(mask)) {
          expect(granted.has(segment.index * 16 + bit)).toBe(false)
          granted.add(segment.index * 16 + bit)
        }
      }
    }
    expect(granted.size).toBe(160)
  })

  test('jobs take turns', () => {
    const jobs = [jobOf(32, 1), jobOf(32, 2)]
    for (const job of jobs) for (const index of [0, 1]) roots.add(segmentOf(job, index))
    const served = [1, 2, 3, 4].map(() => roots.grant('a', 1, 1)[0]?.segment.job.id)
    expect(served).toEqual([jobs[0]?.id, jobs[1]?.id, jobs[0]?.id, jobs[1]?.id])
  })
})

describe('leases', () => {
  test('what is not renewed is granted anew, and counts as reassigned then', () => {
    const segment = segmentOf(jobOf(1), 0)
    roots.add(segment)
    const [lease] = roots.grant('a', 1, 1)
    nowMs += LEASE_MS
    roots.renew('a', [lease?.id ?? -1])
    roots.renew('b', [lease?.id ?? -1])
    nowMs += LEASE_MS
    expect(roots.expire()).toBe(0)
    nowMs += 1
    expect(roots.expire()).toBe(1)
    expect(segment.reassigned).toBe(0)
    expect(roots.grant('b', 1, 1)).toHaveLength(1)
    expect(segment.reassigned).toBe(1)
  })

  test('a suspect that does not renew soon is given up soon; one that does is not', () => {
    const job = jobOf(2)
    roots.add(segmentOf(job, 0))
    const [a] = roots.grant('a', 1, 1)
    roots.grant('b', 1, 1)
    roots.suspect('a', 1_000)
    roots.suspect('b', 1_000)
    nowMs += 900
    roots.renew('a', [a?.id ?? -1])
    nowMs += 101
    expect(roots.expire()).toBe(1)
  })

  test('who does not know the id of a grant cannot give it back, renew or answer it', () => {
    roots.add(segmentOf(jobOf(1), 0))
    const [lease] = roots.grant('a', 1, 1)
    const other = (lease?.id ?? -1) ^ 1
    expect(roots.release([[other, 1]])).toBe(0)
    expect(roots.answered(other, 1, 'b', 1)).toBe(false)
    expect(roots.release([[lease?.id ?? -1, 1]])).toBe(1)
    expect(roots.queued()).toBe(1)
  })

  test('that is refused says why it waits, until somebody else is given some', () => {
    const segment = segmentOf(jobOf(16), 0)
    roots.add(segment)
    const [lease] = roots.grant('unwilling', 1, 1)
    roots.release([[lease!.id, lease!.mask]], 'no JavaScript of strangers')
    expect(summarize(segment)).toMatchObject({ queued: 16, waits: 'no JavaScript of strangers' })
    roots.grant('willing', 1, 1)
    expect(summarize(segment).waits).toBeUndefined()
  })

  test('a part that was passed on is answered, renewed and given back by whoever has it', () => {
    const segment = segmentOf(jobOf(20_000), 0)
    roots.add(segment)
    seen(segment)
    const [lease] = roots.grant('a', 1, 64, undefined, 8)
    const { id, mask } = lease!
    expect(countBits(mask)).toBe(8)
    const theirs = highestBits(mask, 3)
    finish(segment, lowestBits(theirs, 2))
    expect(roots.answered(id, lowestBits(theirs, 2), 'b', 200)).toBe(true)
    expect(roots.queued()).toBe(7)
    expect(roots.release([[id, highestBits(theirs, 1)]])).toBe(1)
    expect(roots.queued()).toBe(8)
    nowMs += lease!.termMs + LEASE_MS
    roots.renew('b', [id])
    nowMs += 1
    expect(roots.expire()).toBe(0)
    finish(segment, mask & ~theirs)
    expect(roots.answered(id, mask & ~theirs, 'a', 500)).toBe(true)
    expect(roots.answered(id, 1, 'a', 1)).toBe(false)
    expect(roots.queued()).toBe(8)
  })

  test("this host's own work needs no renewal", () => {
    roots.add(segmentOf(jobOf(1), 0))
    roots.grant('self', 1, 1)
    nowMs += 10 * LEASE_MS
    expect(roots.expire()).toBe(0)
  })

  test('an answer without results puts the tasks back', () => {
    roots.add(segmentOf(jobOf(1), 0))
    const [lease] = roots.grant('a', 1, 1)
    expect(roots.answered(lease?.id ?? -1, 1, 'a', undefined)).toBe(true)
    expect(roots.queued()).toBe(1)
  })
})

describe('slow tasks', () => {
  test('a late one gets one more attempt, elsewhere', () => {
    const segment = segmentOf(jobOf(16), 0)
    roots.add(segment)
    seen(segment)
    while (roots.waiting() > 0) {
      const [lease] = roots.grant('a', 1, 1)
      if (roots.waiting() > 0) finish(segment, lease?.mask ?? 0)
    }
    expect(roots.again('b', 1, 1)).toEqual([])
    nowMs += 1_000
    roots.renew('a', [])
    expect(roots.queued()).toBeGreaterThan(0)
    expect(roots.again('a', 1, 1)).toEqual([])
    expect(roots.again('b', 1, 1)).toHaveLength(1)
    expect(roots.again('c', 1, 1)).toEqual([])
    expect(segment.reassigned).toBe(0)
  })

  test.each([
    ['of a host that is only slow does not count as reassigned', 'a', 1, 0],
    ['of a silent host does', 'a', 3, 1],
    ["of this host's own, which renews nothing, does not", 'self', 3, 0],
  ])('a second attempt %s', (_, worker, silentSeconds, reassigned) => {
    const segment = segmentOf(jobOf(2), 0)
    roots.add(segment)
    seen(segment)
    const [lease] = roots.grant(worker, 1, 1)
    nowMs += 3_000 - silentSeconds * 1_000
    roots.renew(worker, [lease?.id ?? -1])
    nowMs += silentSeconds * 1_000
    expect(roots.again('b', 1, 1)).toHaveLength(1)
    expect(segment.reassigned).toBe(reassigned)
    expect(roots.reassigned).toBe(reassigned)
  })
})

test('a segment that went elsewhere leaves nothing behind', () => {
  const segment = segmentOf(jobOf(16), 0)
  roots.add(segment)
  const [lease] = roots.grant('a', 1, 1)
  roots.remove(segment)
  expect(roots.queued()).toBe(0)
  expect(roots.answered(lease?.id ?? -1, 1, 'a', 1)).toBe(false)
})

test('a job of long tasks takes as much time as one of short ones, whoever comes first', () => {
  const [long, short] = [jobOf(64, 1), jobOf(1024, 2)]
  const spent = new Map([
    [long, 0],
    [short, 0],
  ])
  const add = (job: LiveJob) => {
    for (let i = 0; i < job.tree.tasks / 16; i++) roots.add(segmentOf(job, i))
  }
  add(long)
  const turn = () => {
    for (const { id, segment, mask } of roots.grant('worker', 1, 1)) {
      const tookMs = countBits(mask) * (segment.job === long ? 2_000 : 20)
      spent.set(segment.job, spent.get(segment.job)! + tookMs)
      nowMs += tookMs
      finish(segment, mask)
      roots.answered(id, mask, 'worker', tookMs)
    }
  }
  for (let i = 0; i < 5; i++) turn()
  expect(spent.get(long)).toBe(10_000)
  add(short)
  for (let i = 0; i < 40; i++) turn()
  const [longMs, shortMs] = [spent.get(long)! - 10_000, spent.get(short)!]
  expect(Math.abs(longMs - shortMs)).toBeLessThanOrEqual(2_000)
  expect(shortMs).toBeGreaterThan(4_000)
})
