/** Renewals of grants: one message to each root, with all that is held of it, or given back. */
import type { Contact } from '../net/contact.ts'
import type { JobsHost } from './host.ts'
import { JobRenew, MAX_ITEMS } from './messages.ts'

export interface Renewed {
  readonly id: number
  readonly root: Contact | undefined
  /** What is done of it, in tasks; undefined when nobody can tell. */
  readonly share?: number | undefined
  /** The tasks of it that this host will not do, instead. */
  readonly dropped?: number
}

/** To roots elsewhere. */
export function renewals(host: JobsHost, grants: readonly Renewed[]): Promise<unknown>[] {
  const groups = new Map<string, { to: Contact; grants: Renewed[] }>()
  for (const grant of grants) {
    const { root } = grant
    if (!root) continue
    const name = `${root.id}|${root.incarnation}`
    const group = groups.get(name)
    if (!group) groups.set(name, { to: root, grants: [grant] })
    else if (group.grants.length < MAX_ITEMS) group.grants.push(grant)
  }
  return [...groups.values()].map(({ to, grants }) => {
    const held = grants.filter(({ dropped }) => dropped === undefined).map(({ id }) => id)
    const dropped = grants.flatMap(({ id, dropped }): [number, number][] => (dropped ? [[id, dropped]] : []))
    return host.ask(to, JobRenew, { held, dropped, shares: sharesOf(grants) })
  })
}

export function sharesOf(grants: readonly Renewed[]): [number, number][] {
  return grants.flatMap(({ id, share }): [number, number][] => (share === undefined ? [] : [[id, share]]))
}
