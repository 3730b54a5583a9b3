/**
 * `chorale demo store`: a file into an overlay of separate processes through one node, out of it through another, and
 * compared. Nothing is left behind.
 */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { RemoteStore } from '../api/store-client.ts'
import { ChoraleError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import type { Cli } from './cli.ts'
import type { Cluster } from './cluster.ts'
import { EXIT } from './exit.ts'
import * as format from './format.ts'
import { inspect, readFile } from './local-files.ts'
import { counted, showTransfer } from './transfer.ts'

/** What is kept when no file is given. */
const SAMPLE_BYTES = 8 * 1024 * 1024
const PIECE_BYTES = 64 * 1024

export interface StoreDemoOptions {
  readonly nodes: number
  readonly file?: string | undefined
  readonly seed: number
}

interface Sample {
  readonly name: string
  readonly totalBytes: number | undefined
  content(): AsyncIterable<Uint8Array>
}

/** Throws `usage` before anything is started. */
export async function sampleOf({ file, seed }: StoreDemoOptions): Promise<Sample> {
  if (file === undefined) {
    const content = async function* () {
      const random = seededRandom(`demo store ${seed}`)
      for (let at = 0; at < SAMPLE_BYTES; at += PIECE_BYTES) yield random.bytes(PIECE_BYTES)
    }
    return { name: `${format.bytes(SAMPLE_BYTES)} of random bytes`, totalBytes: SAMPLE_BYTES, content }
  }
  const { directory, totalBytes } = await inspect(file)
  if (directory) throw new ChoraleError('usage', `${file} is a directory: --file needs a file`)
  return { name: format.safeName(basename(file)), totalBytes, content: () => readFile(file) }
}

/** Returns what tells the result, and gives the exit code. */
export async function demoStore(cli: Cli, cluster: Cluster, sample: Sample): Promise<() => number> {
  const stores = cluster.hosts.map(({ store }) => store)
  const first = stores[0]
  const last = stores.at(-1)
  if (!first || !last) throw new ChoraleError('no-node', 'all nodes of the demo have ended: run it again')
  const began = performance.now()
  const { cid, bytes, blocks, digest } = await put(cli, first, sample)
  const added = performance.now()
  cli.note(`added ${sample.name} through node 1: ${format.some(blocks, 'block')}, ${pace(bytes, added - began)}`)
  const back = await readBack(cli, last, cid, bytes)
  const equal = back.bytes === bytes && back.digest === digest
  const readMs = performance.now() - added
  cli.note(`read it back through node ${stores.length}: ${pace(back.bytes, readMs)}`)
  const verdict = equal ? cli.paint('green', 'equal, byte for byte') : cli.paint('red', 'not equal')
  const text = [
    cli.paint('bold', cid),
    format.facts([
      ['  file', `${sample.name}, ${format.count(bytes)} bytes in ${format.some(blocks, 'block')}`],
      ['  read back', verdict],
    ]),
  ].join('\n')
  return () => {
    cli.print('result', { cid, bytes, equal }, text)
    if (!equal) return EXIT.mismatch
    cli.note('\nNext:')
    cli.note('  chorale up -d            a node of your own')
    cli.note('  chorale add FILE         keep a file; prints its CID')
    cli.note('  chorale cat CID          read it, through any node of the network')
    return EXIT.ok
  }
}

async function put(cli: Cli, store: RemoteStore, { totalBytes, content }: Sample) {
  const hash = createHash('sha256')
  const view = showTransfer(cli, { verb: 'added', totalBytes })
  const source = async function* () {
    for await (const piece of content()) {
      hash.update(piece)
      yield piece
    }
  }
  try {
    const onProgress = ({ bytes }: { bytes: number }) => view.update(bytes)
    // Not pinned: the overlay is gone before any lease is over.
    const added = await store.addFile(source(), { pin: false, onProgress, signal: cli.signal })
    return { ...added, digest: hash.digest('hex') }
  } finally {
    view.end()
  }
}

async function readBack(cli: Cli, store: RemoteStore, cid: string, totalBytes: number) {
  const hash = createHash('sha256')
  const view = showTransfer(cli, { verb: 'read', totalBytes })
  let bytes = 0
  try {
    const source = counted(store.cat(cid, { signal: cli.signal }), (so) => view.update((bytes = so)))
    for await (const piece of source) hash.update(piece)
    return { bytes, digest: hash.digest('hex') }
  } finally {
    view.end()
  }
}

function pace(bytes: number, ms: number): string {
  return `${format.span(ms)}, ${format.rate((bytes * 1000) / Math.max(1, ms))}`
}
