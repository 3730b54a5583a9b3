/**
 * Tasks that this host does again to see whether a supplier has done them. Each once: whoever asks meanwhile waits for the same,
 * and what was found is remembered.
 */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_KNOWN_DIGESTS } from '../../core/limits.ts'
import type { Redo } from '../../mapreduce/ports.ts'
import type { JobSpec } from '../../mapreduce/spec.ts'
import { CappedMap } from '../../net/capped-map.ts'

export class Redoing {
  readonly #redo: Redo
  readonly #found = new CappedMap<string, Key>(MAX_KNOWN_DIGESTS)
  readonly #running = new Map<string, Promise<Key>>()
  /** By job: aborts what is done again of it. */
  readonly #jobs = new Map<Key, AbortController>()
  #stopped = false

  constructor(redo: Redo) {
    this.#redo = redo
  }

  known(job: Key, task: number): Key | undefined {
    return this.#found.get(`${job} ${task}`)
  }

  /** Rejects as `Redo.digest` does, and with `aborted` when nobody wants to know any more. */
  digest(job: Key, spec: JobSpec, task: number): Promise<Key> {
    const name = `${job} ${task}`
    const found = this.#found.get(name)
    if (found !== undefined) return Promise.resolve(found)
    const running = this.#running.get(name)
    if (running) return running
    if (this.#stopped) return Promise.reject(new ChoraleError('aborted', 'the host stops'))
    const control = this.#jobs.get(job) ?? new AbortController()
    this.#jobs.set(job, control)
    const made = this.#redo
      .digest(spec, task, { signal: control.signal })
      .then(({ digest }) => {
        this.#found.set(name, digest)
        return digest
      })
      .finally(() => this.#running.delete(name))
    this.#running.set(name, made)
    return made
  }

  /** Twice, whatever is known: what a mediator says. Rejects as `Redo.digest` does. */
  async twice(spec: JobSpec, task: number, options: { readonly signal: AbortSignal }): Promise<Key | 'unstable'> {
    const first = await this.#redo.digest(spec, task, options)
    const second = await this.#redo.digest(spec, task, options)
    return first.digest === second.digest ? first.digest : 'unstable'
  }

  /** All that was contracted for it is over. */
  drop(job: Key): void {
    this.#jobs.get(job)?.abort(new ChoraleError('aborted', 'the job is over'))
    this.#jobs.delete(job)
  }

  stop(): void {
    this.#stopped = true
    for (const job of [...this.#jobs.keys()]) this.drop(job)
  }
}
