/** Progress of bytes: a line that is redrawn on a terminal, a line a second when piped, NDJSON with `--json`. */
import type { Cli } from './cli.ts'
import * as format from './format.ts'

const REDRAW_MS = 100
const LINE_MS = 1000
const JSON_MS = 200
/** The rate is that of the last few seconds, so that a start or a pause is soon forgotten. */
const WINDOW_MS = 5000
const SAMPLE_MS = 250

export interface TransferView {
  /** In all, so far. */
  update(bytes: number): void
  /** Takes the live part away. */
  end(): void
}

export interface Transfer {
  readonly verb: string
  /** Undefined: nobody knows. */
  readonly totalBytes: number | undefined
}

export function showTransfer(cli: Cli, transfer: Transfer): TransferView {
  if (cli.flags.quiet) return { update() {}, end() {} }
  const pace = new Pace(performance.now())
  let shownAtMs = performance.now()
  const periodMs = cli.flags.json ? JSON_MS : cli.live ? REDRAW_MS : LINE_MS
  const { err, width } = cli.terminal
  let drawn = false
  return {
    update(bytes) {
      const now = performance.now()
      pace.add(now, bytes)
      if (now - shownAtMs < periodMs) return
      shownAtMs = now
      if (cli.flags.json) {
        cli.emit('progress', { bytes, totalBytes: transfer.totalBytes })
        return
      }
      const line = transferLine(transfer, bytes, pace.bytesPerSecond)
      if (!cli.live) return cli.note(line)
      err(`\r\u001b[K${line.slice(0, Math.max(10, width() - 1))}`)
      drawn = true
    },
    end() {
      if (drawn) err('\r\u001b[K')
      drawn = false
    },
  }
}

export function transferLine(
  { verb, totalBytes }: Transfer,
  bytes: number,
  bytesPerSecond: number | undefined,
): string {
  const of = totalBytes === undefined ? '' : ` of ${format.bytes(totalBytes)}, ${format.percent(bytes, totalBytes)}`
  const parts = [`${verb} ${format.bytes(bytes)}${of}`]
  if (bytesPerSecond !== undefined) parts.push(format.rate(bytesPerSecond))
  if (totalBytes !== undefined && bytesPerSecond && bytes <= totalBytes) {
    parts.push(format.remaining(((totalBytes - bytes) / bytesPerSecond) * 1000, 'about '))
  }
  return parts.join(', ')
}

export class Pace {
  #samples: Array<{ readonly atMs: number; readonly bytes: number }>

  constructor(atMs: number) {
    this.#samples = [{ atMs, bytes: 0 }]
  }

  add(atMs: number, bytes: number): void {
    const last = this.#samples.at(-1)
    if (last && atMs - last.atMs < SAMPLE_MS) return
    this.#samples.push({ atMs, bytes })
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#samples.shift()
  }

  /** Undefined before anybody can tell. */
  get bytesPerSecond(): number | undefined {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (!first || !last || last.atMs <= first.atMs) return undefined
    return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)
  }
}

/** The same bytes, counted as they go by. */
export async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let total = 0
  for await (const bytes of source) {
    yield bytes
    onBytes((total += bytes.length))
  }
}
