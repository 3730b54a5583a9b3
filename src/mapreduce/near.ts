/**
 * Tasks over stored input go where copies of their blocks are, as far as that keeps hosts busy. Only a few hosts keep
 * the blocks that a root owns, so these help it before they go on with what others could do as well, and before they go
 * further away.
 */
import type { Contact } from '../net/contact.ts'
import type { JobsHost } from './host.ts'
import { needsFile } from './job-table.ts'
import type { Roots } from './roots.ts'

/** Between looks for a root nearby that is busier than this host. */
const LOOK_MS = 500

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
    return this.#busier() ?? this.#host.loads.pick(this.#matters() ? this.#isNear : undefined)
  }

  #busier(): Contact | undefined {
    return this.#matters() ? this.#host.loads.busiest(this.#isNear, this.#roots.restMs()) : undefined
  }

  /** Are there tasks whose blocks matter? */
  #matters(): boolean {
    return this.#host.table.live.values().some(({ spec }) => needsFile(spec))
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
