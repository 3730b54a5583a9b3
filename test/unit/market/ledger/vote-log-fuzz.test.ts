/** Files of a banker's vote log that a disk has spoilt: each is read, cut at a tear, or found rotten; nothing else happens. */
import { expect, test } from 'vitest'
import { CrashDisk } from '../../../../sim/crash-disk.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import type { LogRecord } from '../../../../src/market/ledger/consensus/effects.ts'
import { openVoteLog } from '../../../../src/market/ledger/vote-log.ts'
import { seeds } from '../../../nightly.ts'

const OWNER = { network: hashKey('network'), epoch: 3, member: hashKey('member') }
const votes = Array.from({ length: 12 }, (_, view): LogRecord => {
  const signature = seededRandom(view).bytes(64)
  return { type: 'vote', kind: 'notarize', view, digest: hashKey(`block ${view}`), member: 0, signature }
})

async function opened(files: ReadonlyMap<string, Uint8Array>) {
  const log = await openVoteLog(new CrashDisk(files), 'votes', OWNER)
  return log === 'rotten' ? log : log.records
}

/** A log of all votes, each synced alone, and where each of its records begins. */
async function written(): Promise<{ path: string; bytes: Uint8Array; starts: number[] }> {
  const disk = new CrashDisk()
  const log = await openVoteLog(disk, 'votes', OWNER)
  if (log === 'rotten') throw new Error('a new log is not rotten')
  const starts: number[] = []
  for (const record of votes) {
    starts.push([...disk.files().values()][0]!.length)
    await log.log.append([record])
  }
  await log.log.close()
  const [[path, bytes]] = [...disk.files()] as [[string, Uint8Array]]
  return { path, bytes, starts }
}

test.each([1, 4, 8, 16, 31, 32, 100, 4096])(
  'a tail of %i zeros, of which nothing was written, is cut off',
  async (zeros) => {
    const { path, bytes } = await written()
    const longer = Uint8Array.of(...bytes, ...new Uint8Array(zeros))
    expect(await opened(new Map([[path, longer]]))).toEqual(votes)
  },
)

test('a sector that reads as zeros, with votes after it, is rot and no tear: nothing is forgotten', async () => {
  const { path, bytes, starts } = await written()
  for (const [index, start] of starts.slice(0, -1).entries()) {
    for (const [from, to] of [
      [start, start + 8],
      [start, start + 64],
      [start - 20, starts[index + 1]! - 1],
    ] as const) {
      const spoilt = bytes.slice().fill(0, from, to)
      expect(await opened(new Map([[path, spoilt]])), `${from} to ${to}`).toBe('rotten')
    }
  }
})

test('whatever becomes of the bytes, the log is the beginning of what it was, or rotten', async () => {
  const { path, bytes } = await written()
  const random = seededRandom('spoilt logs')
  let rotten = 0
  for (const _ of seeds(2000)) {
    let spoilt = bytes
    for (let times = random.int(3); times >= 0; times--) {
      const at = random.int(spoilt.length)
      const until = at + random.int(200)
      const change = random.int(4)
      if (change === 0) spoilt = spoilt.slice(0, at)
      else if (change === 1) spoilt = spoilt.slice().fill(0, at, until)
      else if (change === 2)
        spoilt = Uint8Array.of(...spoilt.subarray(0, at), ...random.bytes(20), ...spoilt.subarray(at))
      else spoilt = spoilt.with(at, spoilt[at]! ^ (1 << random.int(8)))
      if (spoilt.length === 0) break
    }
    const found = await opened(new Map([[path, spoilt]]))
    if (found === 'rotten') rotten++
    else expect(found).toEqual(votes.slice(0, found.length))
  }
  expect(rotten).toBeGreaterThan(seeds(2000).length / 4)
})
