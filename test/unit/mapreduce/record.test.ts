import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeSigner } from '../../../sim/fake-signer.ts'
import { encode } from '../../../src/core/cbor.ts'
import { hashKey } from '../../../src/core/ids.ts'
import type { RegisterKind } from '../../../src/dht/registers.ts'
import { placeOf, RegisterTable } from '../../../src/dht/store/table.ts'
import {
  controlBytes,
  type JobRecord,
  jobRecords,
  mergeRecords,
  newRecord,
  terminalState,
} from '../../../src/mapreduce/record.ts'
import { countSketch, mergeSketches, SKETCH_SIZE, type Sketch, sketchOf } from '../../../src/mapreduce/sketch.ts'
import { encodeSpec, FAN_IN, type JobSpec, jobIdOf, jobKey, parseSpec } from '../../../src/mapreduce/spec.ts'
import { viewOf } from '../../../src/mapreduce/view.ts'

const spec: JobSpec = {
  v: 1,
  module: 'builtin:waves',
  name: 'waves',
  params: { tasks: 40 },
  seed: 7,
  tasks: 40,
  fanIn: FAN_IN,
  leaf: 16,
  engine: 'builtin/1',
  submitter: 'peer-1',
  nonce: '00112233445566778899aabbccddeeff',
  submittedAtMs: 1_000,
}
const bytes = encodeSpec(spec)
const id = jobIdOf(bytes)
const signer = fakeSigner('peer-1')

const ends = fc
  .record({
    state: fc.constantFrom('succeeded' as const, 'failed' as const),
    reason: fc.constantFrom('a', 'b'),
    failure: fc.option(
      fc.record({
        phase: fc.constantFrom('map' as const, 'reduce' as const),
        task: fc.integer({ min: 0, max: 1 }),
        host: fc.constantFrom('a', 'b'),
        message: fc.constant('c'),
        log: fc.array(fc.constantFrom('d', 'e'), { maxLength: 1 }),
      }),
      { nil: undefined },
    ),
    digest: fc.constantFrom(hashKey('1'), hashKey('2'), hashKey('3')),
    disputed: fc.boolean(),
    atMs: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ failure, ...end }) => ({ ...end, ...(failure && { failure }) }))
const alarms = fc.array(
  fc.record({
    level: fc.nat(1),
    index: fc.nat(12),
    attempts: fc.array(fc.record({ host: fc.constantFrom('a', 'b') }), { minLength: 2, maxLength: 2 }),
  }),
  { maxLength: 3 },
)
const controls = fc.record({
  seq: fc.integer({ min: 1, max: 3 }),
  action: fc.constant('cancel' as const),
  atMs: fc.integer({ min: 1, max: 3 }),
  signature: fc.uint8Array({ minLength: 1, maxLength: 2 }),
})
const sketches: fc.Arbitrary<Sketch> = fc
  .uniqueArray(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 8 })
  .map((all) => all.sort((a, b) => a - b))
const records: fc.Arbitrary<JobRecord> = fc
  .record({
    started: fc.boolean(),
    done: fc.nat(40),
    reassigned: fc.nat(9),
    alarms: fc.nat(2),
    named: fc.option(alarms, { nil: undefined }),
    workers: sketches,
    end: fc.option(ends, { nil: undefined }),
    control: fc.option(controls, { nil: undefined }),
  })
  .map(({ started, done, reassigned, alarms, named, workers, end, control }) => ({
    ...newRecord(bytes),
    started,
    progress: { done, reassigned, alarms, workers: [...workers], ...(named && { named }) },
    ...(end && { end }),
    ...(control && { control }),
  }))

const same = (a: JobRecord, b: JobRecord) => expect(Buffer.from(encode(a)).equals(Buffer.from(encode(b)))).toBe(true)

test('records merge in any order, any number of times', () => {
  fc.assert(
    fc.property(records, records, records, (a, b, c) => {
      same(mergeRecords(a, b), mergeRecords(b, a))
      same(mergeRecords(mergeRecords(a, b), c), mergeRecords(a, mergeRecords(b, c)))
      same(mergeRecords(a, a), mergeRecords(mergeRecords(a, a), a))
      same(mergeRecords(mergeRecords(a, b), b), mergeRecords(a, b))
    }),
    { numRuns: 500 },
  )
})

const success = { state: 'succeeded' as const, reason: 'all tasks are done', disputed: false, atMs: 9 }
const one = { ...newRecord(bytes), end: { ...success, value: encode(1), digest: hashKey('1') } }
const cancelled = {
  ...newRecord(bytes),
  control: { seq: 1, action: 'cancel' as const, atMs: 5, signature: new Uint8Array([1]) },
}

test('a result is there for a day, and not for ever', () => {
  const table = new RegisterTable()
  table.define(jobRecords(signer) as RegisterKind<unknown>)
  const endedAtMs = 1_700_000_000_000
  table.merge({ kind: 'job', key: jobKey(id), value: newRecord(bytes), ageMs: 0 }, endedAtMs - 3_600_000)
  table.merge({ kind: 'job', key: jobKey(id), value: one, ageMs: 0 }, endedAtMs)
  const held = (hours: number) => table.get(placeOf('job', jobKey(id)), endedAtMs + hours * 3_600_000)?.value
  expect(viewOf(held(23.9) as JobRecord)).toMatchObject({ state: 'succeeded', value: 1 })
  expect(held(24.1)).toBeUndefined()
})

test('a result beats a late cancel, whichever comes first', () => {
  expect(terminalState(cancelled)).toBe('cancelled')
  for (const merged of [mergeRecords(one, cancelled), mergeRecords(cancelled, one)]) {
    expect(terminalState(merged)).toBe('succeeded')
    expect(viewOf(merged)).toMatchObject({ state: 'succeeded', value: 1, finishedAtMs: 9 })
  }
})

test('two results are a dispute, and the view says so', () => {
  const two = { ...newRecord(bytes), end: { ...success, value: encode(2), digest: hashKey('2') } }
  const merged = mergeRecords(one, two)
  expect(merged.end?.disputed).toBe(true)
  expect(viewOf(merged).reason).toMatch(/another result came too/)
  expect(mergeRecords(one, one).end?.disputed).toBe(false)
})

test('only the submitter can cancel, and only under its own key', () => {
  const kind = jobRecords(signer)
  const control = { seq: 1, action: 'cancel' as const, atMs: 5 }
  const signed = { ...newRecord(bytes), control: { ...control, signature: signer.sign(controlBytes(id, control)) } }
  expect(kind.admit?.(jobKey(id), signed)).toBe(true)
  expect(kind.admit?.(hashKey('elsewhere'), signed)).toBe(false)
  const forged = { ...control, signature: fakeSigner('peer-2').sign(controlBytes(id, control)) }
  expect(kind.admit?.(jobKey(id), { ...newRecord(bytes), control: forged })).toBe(false)
  const replayed = { ...signed.control, seq: 2 }
  expect(kind.admit?.(jobKey(id), { ...newRecord(bytes), control: replayed })).toBe(false)
})

test('an id is a CIDv1 of the spec, and a spec under another id is refused', () => {
  expect(id).toMatch(/^bafyrei[a-z2-7]{52}$/)
  expect(parseSpec(id, bytes)).toEqual(spec)
  const other = encodeSpec({ ...spec, seed: 8 })
  expect(jobIdOf(other)).not.toBe(id)
  expect(() => parseSpec(id, other)).toThrow(expect.objectContaining({ code: 'bad-message' }))
  expect(() => encodeSpec({ ...spec, params: { text: 'x'.repeat(20_000) } })).toThrow(/too large/)
})

test('workers are counted once each; beyond the sketch within a fifth', () => {
  const names = Array.from({ length: 2000 }, (_, i) => `peer-${i}`)
  const some = names.slice(0, 100).map(sketchOf).reduce(mergeSketches)
  expect(countSketch(mergeSketches(some, some))).toBe(100)
  const all = names.map(sketchOf).reduce(mergeSketches)
  expect(all.length).toBe(SKETCH_SIZE)
  expect(Math.abs(countSketch(all) - 2000)).toBeLessThan(400)
})
