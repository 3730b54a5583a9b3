/** How far studies are: on a terminal one line that is drawn again, else a line now and then. */

export interface ProgressOptions {
  readonly write: (text: string) => void
  /** Can what was written be drawn over? */
  readonly live: boolean
  readonly width: () => number
  readonly now: () => number
}

const BAR = 24
const REDRAW_MS = 250
const LINE_MS = 10_000
/** Before so much is done nobody can tell how long the rest takes. */
const TELLING_SHARE = 0.05

export class Progress {
  readonly #options: ProgressOptions
  readonly #startedAtMs: number
  readonly #timer: NodeJS.Timeout
  #state = { label: '', share: 0, detail: '', even: false }
  #lineAtMs: number

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#startedAtMs = this.#lineAtMs = options.now()
    this.#timer = setInterval(() => this.#show(), REDRAW_MS)
  }

  /** `even`: does the share grow evenly, so that it tells how long the rest takes? */
  update(state: { label: string; share: number; detail: string; even: boolean }): void {
    this.#state = state
    this.#show()
  }

  /** Takes the bar away. */
  end(): void {
    clearInterval(this.#timer)
    if (this.#options.live) this.#options.write('\r\x1b[K')
  }

  #show(): void {
    const { write, live, width, now } = this.#options
    const elapsedMs = now() - this.#startedAtMs
    const line = progressLine({ ...this.#state, elapsedMs }, live)
    if (live) write(`\r${line.slice(0, Math.max(20, width() - 1))}\x1b[K`)
    else if (now() - this.#lineAtMs >= LINE_MS) {
      this.#lineAtMs = now()
      write(`${line}\n`)
    }
  }
}

interface State {
  readonly label: string
  readonly share: number
  readonly detail: string
  readonly even: boolean
  readonly elapsedMs: number
}

/** `dgvh [#####...] 45 %, 12 of 60 units, 0:31, about 0:38 left`. */
export function progressLine({ label, share, detail, even, elapsedMs }: State, bar: boolean): string {
  const filled = Math.round(share * BAR)
  const drawn = bar ? ` [${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}]` : ''
  const telling = even && share >= TELLING_SHARE && share < 1
  const left = telling ? `, about ${duration((elapsedMs * (1 - share)) / share)} left` : ''
  return `${label}${drawn} ${Math.floor(share * 100)} %, ${detail}, ${duration(elapsedMs)}${left}`
}

/** `0:31`, `12:05`, `1:02:07`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`
}
