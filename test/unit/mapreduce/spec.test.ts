/** Specs as a whole: what contradicts itself is no spec, whoever sends it. */
import { expect, test } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { encodeSpec, FAN_IN, type JobSpec, jobIdOf, parseSpec, stageSpec } from '../../../src/mapreduce/spec.ts'

const plain: JobSpec = {
  v: 1,
  module: 'builtin:x',
  name: 'x',
  params: {},
  seed: 1,
  tasks: 40,
  fanIn: FAN_IN,
  leaf: FAN_IN,
  engine: 'fake/1',
  submitter: 'somebody',
  nonce: '0'.repeat(32),
  submittedAtMs: 1,
}
const input = { cid: 'bafy', bytes: 100, blocks: 79, as: 'lines', taskBlocks: 2 } as const
const stored: JobSpec = { ...plain, leaf: 1, input }
const keyed: JobSpec = { ...plain, leaf: 1, partitions: 3 }
const rounds: JobSpec = { ...plain, rounds: true }
const carry = new Uint8Array([0xf6])

function parsed(spec: JobSpec): JobSpec {
  const bytes = encode(spec)
  return parseSpec(jobIdOf(bytes), bytes)
}

test.each([
  ['a plain job', plain],
  ['one over stored input', stored],
  ['a keyed one', keyed],
  ['its reduce', stageSpec(keyed, { number: 1, reduce: true, carry })],
  ['one in rounds', rounds],
  ['its seventh', stageSpec(rounds, { number: 7, carry })],
])('%s is a spec', (_, spec) => {
  expect(parsed(spec)).toEqual(spec)
  expect(encodeSpec(spec)).toEqual(encode(spec))
})

test.each<[string, JobSpec]>([
  ['more tasks than blocks', { ...stored, tasks: 41 }],
  ['fewer', { ...stored, tasks: 39 }],
  ['many tasks in one place, of stored input', { ...stored, leaf: FAN_IN }],
  ['tasks each in its place, of nothing', { ...plain, leaf: 1 }],
  ['rounds of keys', { ...keyed, rounds: true }],
  ['a reduce of no keys', stageSpec({ ...plain, partitions: 3 }, { number: 1, reduce: true, carry })],
  ['a second reduce', stageSpec(keyed, { number: 2, reduce: true, carry })],
  ['a round of a job that has none', stageSpec(plain, { number: 1, carry })],
  ['a pass with more tasks than its job', { ...stageSpec(rounds, { number: 1, carry }), tasks: 4_000_000 }],
  ['a pass of another job', { ...stageSpec(rounds, { number: 1, carry }), seed: 2 }],
])('%s: no spec', (_, spec) => {
  expect(() => parsed(spec)).toThrow(/contradicts itself|not of its job/)
})
