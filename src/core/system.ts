/**
 * The real Env: this machine's clock, timers and randomness. One of the few files that may touch them (see the tidy
 * test).
 */
import { randomBytes, randomInt } from 'node:crypto'
import type { Clock, Deadline, Env, Logger, Random } from './env.ts'
import { ChoraleError } from './errors.ts'

function aborted(signal: AbortSignal): ChoraleError {
  return signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up')
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(ms, options) {
    const signal = options?.signal
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted(signal))
      const onAbort = () => {
        clearTimeout(timer)
        reject(aborted(signal as AbortSignal))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  },
  timer(ms, fire) {
    const timer = setTimeout(fire, ms)
    return () => clearTimeout(timer)
  },
  deadline(ms, parent): Deadline {
    const controller = new AbortController()
    const onParent = () => controller.abort(parent?.reason)
    const timer = setTimeout(() => controller.abort(new ChoraleError('timeout', `no answer within ${ms} ms`)), ms)
    if (parent?.aborted) onParent()
    else parent?.addEventListener('abort', onParent, { once: true })
    return {
      signal: controller.signal,
      [Symbol.dispose]() {
        clearTimeout(timer)
        parent?.removeEventListener('abort', onParent)
      },
    }
  },
}

export const systemRandom: Random = {
  next: () => randomBytes(4).readUInt32LE(0) * 2 ** -32,
  int: (below) => (below > 1 ? randomInt(below) : 0),
  bytes: (count) => new Uint8Array(randomBytes(count)),
  fork: () => systemRandom,
}

export function systemEnv(log: Logger): Env {
  return { clock: systemClock, random: systemRandom, log }
}
