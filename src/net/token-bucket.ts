/**
 * A token bucket: `rate` units a second on average, `burst` at once. Pure; the caller says what time it is. Spending
 * may go into debt, because the cost of a thing (bytes that came, milliseconds that a handler took) is often known
 * only afterwards; whoever is in debt waits.
 */
export class TokenBucket {
  readonly #ratePerMs: number
  readonly #burst: number
  #tokens: number
  #updatedMs: number

  constructor(ratePerSecond: number, burst: number, nowMs: number) {
    this.#ratePerMs = ratePerSecond / 1000
    this.#burst = burst
    this.#tokens = burst
    this.#updatedMs = nowMs
  }

  spend(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#tokens -= amount
  }

  /** Milliseconds until the bucket is out of debt; 0: it is. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs)
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / this.#ratePerMs)
  }

  #refill(nowMs: number): void {
    const elapsedMs = nowMs - this.#updatedMs
    if (elapsedMs <= 0) return // a clock that was set back gives nothing and takes nothing
    this.#updatedMs = nowMs
    this.#tokens = Math.min(this.#burst, this.#tokens + elapsedMs * this.#ratePerMs)
  }
}
