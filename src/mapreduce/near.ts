/**
 * Tasks over stored input go where copies of their blocks are, as far as that keeps hosts busy. Only a few hosts keep
 * the blocks that a root owns, so these help it before they go on with what others could do as well, and before they go
 * further away.
 */
import type { Contact } from '../net/contact.ts'
import type { JobsHost } from './host.ts'
import type { Roots } from './roots.ts'

/** Between looks for a root nearby that is busier than this host. */
const LOOK_MS = 500
/** A root nearby that has not been heard of for so long is asked how it is. */
const SILENT_MS = 4_000

export class Near {
  readonly #host: JobsHost
  readonly #roots: Roots
  #lookAtMs = 0

  constructor(host: JobsHost, roots: Roots) {
    this.#host = host
    this.#roots = roots
  }

  /** Now and then: is there a root nearby that is busier than this host? */
  look(): boolean {
    const now = this.#host.now()
    if (now < this.#lookAtMs || !this.#busier()) return false
    this.#lookAtMs = now + LOOK_MS
    return true
  }

  /** Whom to ask for tasks. */
  pick(): Contact | undefined {
    const { loads, table } = this.#host
    if (!table.isBound) return loads.pick()
    return this.#busier() ?? loads.busiest(this.#isNear, 0) ?? loads.busiest(() => true, 0)
  }

  /** A root nearby that is busier than this host, as far as is known. */
  #busier(): Contact | undefined {
    const { env, loads, overlay, table } = this.#host
    if (!table.isBound) return undefined
    const known = loads.busiest(this.#isNear, this.#roots.restMs(this.#host.executor.cores))
    if (known) return known
    const silent = overlay
      .neighbours()
      .filter((c) => this.#isNear(c) && loads.isOpen(c) && loads.silentMs(c) > SILENT_MS)
    return silent[env.random.int(Math.max(1, silent.length))]
  }

  /** Does this host keep copies of the blocks that a root owns? */
  readonly #isNear = ({ id }: Contact): boolean => {
    const { overlay, store } = this.#host
    return overlay
      .replicas(id)
      .slice(0, store.copies)
      .some((contact) => this.#host.isSelf(contact))
  }
}
