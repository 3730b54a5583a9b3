/** What a survey may find: networks of known size, and contacts at addresses of one's choice. */

import type { Survey, Surveyed } from '../../src/market/sybil-report.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'

/** Members at so many blocks in turn, beginning with the first. */
export function membersAt(blocks: number, count: number, first = 0): Contact[] {
  return Array.from({ length: count }, (_, i) => {
    const block = first + (i % blocks)
    const ip = `203.${block >> 8}.${block & 255}.${1 + (i % 250)}`
    return contactAt({ peer: `p${first}-${i}`, ip, port: 4001, incarnation: 1 }, 0, 'ip-prefix')
  })
}

/** Honest surroundings in a network of so many: as dense as on average. */
export function around(name: string, members: readonly Contact[], nodes: number, dense = 1): Surveyed {
  return { name, members, sample: { members: members.length, share: members.length / nodes / dense } }
}

/** An open network of 1,000 in which nothing is wrong; this node has a seat of seven, and two pins. */
export function quietSurvey(change: Partial<Survey> = {}): Survey {
  const nodes = 1000
  const seats = membersAt(7, 7, 900).map((at, i) => {
    return { at, around: around(`banker ${i}`, membersAt(3, 3, 500 + 3 * i), nodes) }
  })
  return {
    placement: 'ip-prefix',
    copies: 3,
    replicas: 4,
    seatCap: 31,
    self: membersAt(1, 1, 999)[0],
    counted: undefined,
    near: [around('after this node', membersAt(8, 8), nodes)],
    random: Array.from({ length: 24 }, (_, i) => around('a random key', membersAt(4, 4, 100 + 4 * i), nodes)),
    mine: [around('pin bafyone', membersAt(4, 4, 300), nodes), around('pin bafytwo', membersAt(4, 4, 310), nodes)],
    seats,
    seated: true,
    unanswered: 0,
    ...change,
  }
}
