/** Renewals of grants: one message to each root, with all that is held of it, or given back. */
import type { Contact } from '../net/contact.ts'
import type { Granted } from './delivery.ts'
import type { JobsHost } from './host.ts'
import { JobRenew, MAX_ITEMS } from './messages.ts'

interface Renewed extends Granted {
  /** What its code says of how far it is, once it runs. */
  readonly notes?: { readonly share: number | undefined }
}

/** `dropped`: this host will not do them. */
export function renewals(host: JobsHost, works: readonly Renewed[], dropped: boolean): Promise<unknown>[] {
  const groups = new Map<string, { to: Contact; works: Renewed[] }>()
  for (const work of works) {
    const { root } = work
    if (!root) continue
    const name = `${root.id}|${root.incarnation}`
    const group = groups.get(name)
    if (!group) groups.set(name, { to: root, works: [work] })
    else if (group.works.length < MAX_ITEMS) group.works.push(work)
  }
  return [...groups.values()].map(({ to, works }) => {
    const ids = works.map(({ grant }) => grant.id)
    const message = dropped
      ? { held: [], dropped: ids, shares: [] }
      : { held: ids, dropped: [], shares: sharesOf(works) }
    return host.ask(to, JobRenew, message)
  })
}

/** Of the grants whose code tells how far it is. */
export function sharesOf(works: readonly Renewed[]): [number, number][] {
  return works.flatMap(({ grant, notes }): [number, number][] =>
    notes?.share === undefined ? [] : [[grant.id, notes.share]],
  )
}
