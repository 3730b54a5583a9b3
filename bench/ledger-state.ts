/**
 * `npm run bench -- ledger-state --accounts 1000000 --json`: the state of a ledger with so many accounts: the memory that it
 * takes (RSS, in 10^6 bytes, with Node and our code; at the end of each step, and at most), and the time to write its
 * snapshot into the chain's database, as members do, and to restore it from there. Two processes after each other, so
 * that the second has nothing but what is on the disk; it compares the root of the state, and how much it holds.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Restored, Written } from './ledger-state/part.ts'
import { readOptions } from './options.ts'
import { stopOnSignal } from './stop.ts'

const { numbers, json } = readOptions({ accounts: { default: 1_000_000, min: 1, max: 1e7 } })
const { accounts } = numbers
const { signal } = stopOnSignal()

/** What a part tells when it is done. */
async function part<T>(...args: string[]): Promise<T> {
  const child = fork(fileURLToPath(new URL('ledger-state/part.ts', import.meta.url)), args, { signal })
  const told = once(child, 'message') as Promise<[T]>
  const ended = once(child, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`the part that was to ${args[0]} ended with ${code}`)
  })
  const [[result]] = await Promise.all([told, ended])
  return result
}

const directory = mkdtempSync(join(tmpdir(), 'chorale-state-'))
try {
  const file = join(directory, 'chain.db')
  if (!json) console.error(`${accounts} accounts are opened, and written ...`)
  const written = await part<Written>('write', file, String(accounts))
  if (!json) console.error('and restored ...')
  const restored = await part<Restored>('restore', file, written.root)
  const figures = {
    snapshotS: written.snapshotS,
    restoreS: restored.restoreS,
    rootS: written.rootS,
    rssMB: written.rssMB,
    peakRssMB: Math.max(written.peakRssMB, restored.peakRssMB),
    rssRestoredMB: restored.rssMB,
    snapshotBytes: written.bytes,
    chunks: written.chunks,
    same: restored.root === written.root && restored.held === written.held,
  }
  if (json) console.log(JSON.stringify({ v: 1, type: 'bench', accounts, ...figures }))
  else {
    console.log(
      `${figures.rssMB} MB with ${accounts} accounts, ${figures.rssRestoredMB} MB when restored, ${figures.peakRssMB} MB at most`,
    )
    console.log(
      `snapshot ${figures.snapshotS} s, ${figures.chunks} chunks, ${figures.snapshotBytes} bytes; restore ${figures.restoreS} s`,
    )
    console.log(figures.same ? 'the restored state is the same' : 'THE RESTORED STATE IS ANOTHER')
  }
  process.exitCode = figures.same ? 0 : 1
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = signal.aborted ? 130 : 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
