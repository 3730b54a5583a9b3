/** This machine, as lending sees it: what it has, what time it is here, and who takes its processors. */
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import type { CpuReading } from './market/lending/idle.ts'
import type { Machine } from './market/lending/lender.ts'

/** What the kernel counts processor time in, on every Linux that Node runs on (USER_HZ). */
const TICK_MS = 10

export function thisMachine(): Machine {
  const cores = availableParallelism()
  const constrained = process.constrainedMemory()
  const total = totalmem()
  const model = cpus()[0]?.model.trim().replace(/\s+/g, ' ') || process.arch
  return {
    cores,
    // A container may have less than the machine; where there is no limit, some systems say a number beyond any memory.
    memoryBytes: constrained > 0 ? Math.min(total, constrained) : total,
    name: `${model}, ${cores} cores`.slice(0, 200),
    minuteOfDay(nowMs) {
      const now = new Date(nowMs)
      return now.getHours() * 60 + now.getMinutes()
    },
    readCpu,
  }
}

function readCpu(): CpuReading {
  const all = cpus()
  const busyMs = all.reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
  return { atMs: Date.now(), busyMs, ownMs: treeMs(process.pid), cores: all.length }
}

interface Usage {
  readonly parent: number
  readonly ms: number
}

/** Of a process and all that descend from it, those that ended included; undefined where the system does not say. */
export function treeMs(root: number): number | undefined {
  const usages = new Map<number, Usage>()
  try {
    for (const name of readdirSync('/proc')) {
      const usage = /^\d+$/.test(name) ? usageOf(name) : undefined
      if (usage) usages.set(Number(name), usage)
    }
  } catch {
    return undefined
  }
  if (!usages.has(root)) return undefined
  const isOurs = (pid: number): boolean => {
    // A parent that ended while this was read leaves a child of nobody.
    for (let at = usages.get(pid), hops = 0; at && hops < 64; at = usages.get(at.parent), hops++) {
      if (at.parent === root) return true
    }
    return pid === root
  }
  let sum = 0
  for (const [pid, { ms }] of usages) if (isOurs(pid)) sum += ms
  return sum
}

/** Undefined: the process has ended meanwhile. */
function usageOf(pid: string): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in parentheses may hold spaces; its state is field 3, so the parent is [1] and utime, stime and those of the
    // children that ended, fields 14 to 17, are [11] to [14].
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    return { parent: Number(fields[1]), ms: ticks * TICK_MS }
  } catch {
    return undefined
  }
}
