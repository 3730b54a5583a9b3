/** Times one operation after the other, for a while. */

export interface Measured {
  readonly count: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
}

/** Runs `operation` again and again, never two at once: a tenth of the time to warm up, then `seconds` that count. */
export async function measure(seconds: number, operation: () => Promise<unknown>): Promise<Measured> {
  await timed(seconds * 100, operation)
  const { times, elapsedMs } = await timed(seconds * 1000, operation)
  times.sort((a, b) => a - b)
  return {
    count: times.length,
    perSecond: round((times.length / elapsedMs) * 1000),
    p50Ms: round(quantile(times, 0.5)),
    p95Ms: round(quantile(times, 0.95)),
  }
}

async function timed(ms: number, operation: () => Promise<unknown>): Promise<{ times: number[]; elapsedMs: number }> {
  const times: number[] = []
  const start = performance.now()
  let now = start
  while (now - start < ms) {
    await operation()
    const after = performance.now()
    times.push(after - now)
    now = after
  }
  return { times, elapsedMs: now - start }
}

/** Of a sorted list that is not empty: the smallest value that at least this share does not exceed. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Three digits after the point for small figures, one for others. */
export function round(value: number): number {
  const scale = value < 100 ? 1000 : 10
  return Math.round(value * scale) / scale
}
