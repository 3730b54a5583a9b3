/** Who takes part in a simulated market, and how each of them behaves. */

export type Role = 'supplier' | 'customer' | 'mediator'

/** What cheaters of each role do; all else they do as the honest do. */
export const CHEATS = {
  supplier: [
    'skip', // every other task
    'guess', // all results
    'withhold', // does nothing, and opens nothing
    'abandon', // after the first window
    'no-sign',
  ],
  customer: [
    'keep', // its nonces back
    'dispute', // what is right
    'vanish', // after signing
  ],
  mediator: [
    'lie', // in league with each other: the cheater is right
  ],
} as const satisfies Record<Role, readonly string[]>

export type Conduct = 'honest' | (typeof CHEATS)[Role][number]

export interface Part {
  readonly role: Role
  readonly conduct: Conduct
}

/** Of so many nodes; the rest are mediators. */
const SUPPLIERS = 0.6
const CUSTOMERS = 0.25

/** The same share of cheaters in each role, their ways in turn. */
export function castOf(nodes: number, cheaters: number): Part[] {
  const suppliers = Math.round(nodes * SUPPLIERS)
  const customers = Math.max(1, Math.round(nodes * CUSTOMERS))
  const counts = { supplier: suppliers, customer: customers, mediator: nodes - suppliers - customers }
  return (Object.keys(counts) as Role[]).flatMap((role) => {
    const ways = CHEATS[role]
    const bad = Math.round(counts[role] * cheaters)
    return Array.from({ length: counts[role] }, (_, i): Part => {
      return { role, conduct: i < bad ? ways[i % ways.length]! : 'honest' }
    })
  })
}
