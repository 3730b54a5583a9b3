/**
 * The highest resident memory (RSS) of processes while they are watched. Linux keeps the peak itself, down to the
 * page; elsewhere `ps` is asked again and again.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const SAMPLE_MS = 250
const run = promisify(execFile)

export interface MemoryWatch extends AsyncDisposable {
  /** Bytes, in the order of the processes. */
  highest(): number[]
}

export function watchMemory(pids: readonly number[]): MemoryWatch {
  const highest = pids.map(() => 0)
  let over = false
  const sample = async () => {
    for (const [index, pid] of pids.entries()) {
      // Of a process that has ended, what was seen before counts.
      const rss = await residentBytes(pid).catch(() => 0)
      highest[index] = Math.max(highest[index] ?? 0, rss)
    }
  }
  const loop = async () => {
    while (!over) {
      await sample()
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
    }
  }
  const looping = loop()
  return {
    highest: () => [...highest],
    async [Symbol.asyncDispose]() {
      over = true
      await looping
    },
  }
}

/** Where there is a peak of its whole life, that. */
async function residentBytes(pid: number): Promise<number> {
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
  }
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', `${pid}`])
  return Number(stdout) * 1024
}
