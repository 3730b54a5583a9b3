import { beforeEach, expect, test } from 'vitest'
import { GrantNotes } from '../../../src/mapreduce/grant-notes.ts'
import { Held, shareOf, type Work } from '../../../src/mapreduce/held.ts'
import { JobTable, type LiveJob } from '../../../src/mapreduce/job-table.ts'
import { encodeSpec, FAN_IN, jobIdOf } from '../../../src/mapreduce/spec.ts'

let held: Held
let grants = 0

function jobOf(tasks: number): LiveJob {
  const bytes = encodeSpec({
    ...{ v: 1, module: 'builtin:waves', name: 'waves', params: {}, seed: 1, tasks, fanIn: FAN_IN, leaf: 16 },
    ...{ engine: 'builtin/1', submitter: 'peer-1', nonce: '0'.repeat(32), submittedAtMs: 0 },
  })
  return new JobTable(() => 0).open(jobIdOf(bytes), bytes) as LiveJob
}

const large = jobOf(100_000)

function add(mask: number, { job = large, id = ++grants } = {}): Work {
  const grant = { id, job: job.id, segment: id % 100, mask, termMs: 0 }
  const work: Work = {
    ...{ grant, job, root: undefined, takenAtMs: 0, renewAtMs: 0, todo: mask, running: new Map() },
    ...{ done: 0, results: [], tookMs: 0, doneAtMs: 0 },
  }
  held.add(work)
  return work
}

const masks = (tasks: number, most = 64) => held.pass(tasks, most, () => true).map(({ mask }) => mask)

beforeEach(() => {
  held = new Held()
})

test('short tasks are run as long as a piece lasts, of an unknown job one, of a small job all', () => {
  add(0xffff)
  expect(held.next(large)!.mask).toBe(0b1)
  held.took(500, 10)
  expect(held.next(large)!.mask).toBe(0b11110)
  held.took(60_000, 10)
  expect(held.next(large)!.mask).toBe(0b100000)
  held = new Held()
  const small = jobOf(320)
  add(0xff, { job: small })
  expect(held.next(small)!.mask).toBe(0xff)
})

test('what came last is passed on first, whole pieces as far as that is about as many', () => {
  for (let i = 0; i < 3; i++) add(0xffff)
  expect(masks(16)).toEqual([0xffff])
  expect(masks(14)).toEqual([0xffff])
  expect(masks(6)).toEqual([0xfc00])
  expect(held.waiting()).toBe(10)
  expect(masks(100)).toEqual([0x03ff])
  expect(held.all()).toEqual([])
})

test('nothing is passed on twice, and nothing that is begun or done', () => {
  const work = add(0xffff)
  const piece = held.next(large)!
  work.running.set(new GrantNotes(() => {}), piece.mask)
  const [passed] = masks(100)
  expect(passed).toBe(0xffff & ~piece.mask)
  expect(masks(100)).toEqual([])
  held.ended(work, piece.mask, { partials: [], tookMs: 7 }, 5)
  work.running.clear()
  expect(shareOf(work)).toBe(1)
  expect(held.take(work)).toEqual({ mask: piece.mask, result: { partials: [], tookMs: 7 } })
  expect(held.all()).toEqual([])
})

test('tasks of small jobs, and over stored input, stay where they were given', () => {
  add(0xff, { job: jobOf(320) })
  expect(held.passable).toBe(0)
  expect(masks(4)).toEqual([])
})

test('two parts of one grant are one piece of work', () => {
  const work = add(0x000f)
  add(0xf000, { id: work.grant.id })
  expect(held.all()).toHaveLength(1)
  expect(held.waiting()).toBe(8)
})

test('what is dropped is what is not done of it', () => {
  const work = add(0x00ff)
  const { mask } = held.next(large)!
  held.ended(work, mask, { partials: [], tookMs: 1 }, 0)
  const second = held.next(large)!
  expect(held.drop(work, second.mask)).toBe(0xff & ~mask)
  expect(held.take(work).mask).toBe(mask)
  expect(held.all()).toEqual([])
})
