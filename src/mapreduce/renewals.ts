/** Renewals of grants: as few messages to each root as may be, with all that is held of it, or given back. */
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
  /** Why, if it is for their code. */
  readonly why?: string | undefined
}

/** To roots elsewhere. */
export function renewals(host: JobsHost, grants: readonly Renewed[]): Promise<unknown>[] {
  const groups = new Map<string, { to: Contact; grants: Renewed[] }>()
  for (const grant of grants) {
    const { root, dropped, why = '' } = grant
    if (!root || dropped === 0) continue
    const name = `${root.id}|${root.incarnation}|${why}`
    const group = groups.get(name)
    if (!group) groups.set(name, { to: root, grants: [grant] })
    else group.grants.push(grant)
  }
  const messages = [...groups.values()].flatMap(({ to, grants }) => {
    const count = Math.ceil(grants.length / MAX_ITEMS)
    return Array.from({ length: count }, (_, i) => ({ to, grants: grants.slice(i * MAX_ITEMS, (i + 1) * MAX_ITEMS) }))
  })
  return messages.map(({ to, grants }) => {
    const held = grants.filter(({ dropped }) => dropped === undefined).map(({ id }) => id)
    const dropped = grants.flatMap(({ id, dropped }): [number, number][] => (dropped ? [[id, dropped]] : []))
    const why = grants[0]?.why
    return host.ask(to, JobRenew, { held, dropped, shares: sharesOf(grants), ...(why !== undefined && { why }) })
  })
}

export function sharesOf(grants: readonly Renewed[]): [number, number][] {
  return grants.flatMap(({ id, share }): [number, number][] => (share === undefined ? [] : [[id, share]]))
}
