/** What a process and all below it keep in memory: bubblewrap is a few processes. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)
const MAX_DEPTH = 4

/** Bytes; undefined where the system does not say. Never rejects. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  try {
    if (process.platform === 'linux') return below(pid, 0) * 1024
    const { stdout } = await run('ps', ['-o', 'rss=', '-p', `${pid}`])
    return Number(stdout) * 1024 || undefined
  } catch {
    return undefined
  }
}

/** Kilobytes. */
function below(pid: number, depth: number): number {
  let sum = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  if (depth === MAX_DEPTH) return sum
  for (const child of childrenOf(pid)) sum += below(child, depth + 1)
  return sum
}

export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}
