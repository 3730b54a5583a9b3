/** The whole run as a strip of time: who came above the line, who died below it, lookups that went wrong, and the phases. */
import type { Run } from '../run.ts'
import type { Inks } from './inks.ts'
import { fitted } from './picture.ts'

const BIN_PIXELS = 4

export function drawStrip(run: Run, canvas: HTMLCanvasElement, timeMs: number, inks: Inks): void {
  const { width, height, context } = fitted(canvas)
  const x = (ms: number) => (ms / Math.max(run.endMs, 1)) * width
  const bins = Math.max(1, Math.floor(width / BIN_PIXELS))
  const joined = new Array<number>(bins).fill(0)
  const died = new Array<number>(bins).fill(0)
  const bad = new Array<number>(bins).fill(0)
  let last = [0, 0, 0, 0, 0, 0]
  for (const row of run.counts) {
    const bin = Math.min(bins - 1, Math.floor((row[0] / Math.max(run.endMs, 1)) * bins))
    joined[bin]! += row[1] - last[1]!
    died[bin]! += row[2] - last[2]!
    bad[bin]! += row[4] + row[5] - last[4]! - last[5]!
    last = row
  }
  const most = Math.max(1, ...joined, ...died, ...bad)
  const labels = 14
  const middle = labels + (height - labels) / 2
  const room = (height - labels) / 2 - 1
  const bar = (counts: number[], ink: string, down: boolean) => {
    context.fillStyle = ink
    counts.forEach((count, bin) => {
      if (count === 0) return
      // By the root: a tenth of all dying at once leaves the others to be seen.
      const size = Math.max(2, Math.sqrt(count / most) * room)
      context.fillRect(bin * BIN_PIXELS, down ? middle : middle - size, BIN_PIXELS - 1, size)
    })
  }
  context.fillStyle = inks.edge
  context.fillRect(0, middle - 0.5, width, 1)
  bar(joined, inks.joined, false)
  bar(died, inks.died, true)
  context.fillStyle = inks.wrong
  bad.forEach((count, bin) => {
    if (count > 0) context.fillRect(bin * BIN_PIXELS, labels, BIN_PIXELS - 1, 3)
  })
  context.font = '11px system-ui, sans-serif'
  context.fillStyle = inks.quiet
  run.phases.forEach(([atMs, text], i) => {
    const end = run.phases[i + 1]?.[0] ?? run.endMs
    context.fillRect(x(atMs), 0, 1, height)
    if (context.measureText(text).width + 8 < x(end) - x(atMs)) context.fillText(text, x(atMs) + 4, 10)
  })
  context.fillStyle = inks.ink
  context.fillRect(Math.min(x(timeMs), width - 2), 0, 2, height)
}
