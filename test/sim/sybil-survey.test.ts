/** A survey of real nodes over the simulated network: is the size right, and are crowds seen, and nothing else? */
import { describe, expect, test } from 'vitest'
import { Cluster } from '../../sim/cluster.ts'
import type { SimHost } from '../../sim/network.ts'
import { VHashCluster } from '../../sim/vhash-cluster.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import { sybilReport } from '../../src/market/sybil-report.ts'
import { survey } from '../../src/market/sybil-survey.ts'
import { contactAt } from '../../src/net/contact.ts'
import { countedMembers, type OverlayHost, shareTo, surroundings } from '../../src/overlay-host.ts'
import { dealt, spaceNamed } from '../../src/vhash/spaces.ts'
import { seeds } from '../nightly.ts'

type AnyCluster = Cluster | VHashCluster

/** Honest hosts are in blocks of their own. */
function ipOf(seed: number) {
  return (number: number) => {
    const random = seededRandom(`${seed}/survey/${number}`)
    return [11 + random.int(80), random.int(256), random.int(256), 1 + random.int(250)].join('.')
  }
}

/** What the host at `index` reports, in a ledger whose bankers are the hosts from there on. */
async function reportOf(cluster: AnyCluster, index: number, bankers: number) {
  const { host, overlay } = cluster.nodes[index] as { host: SimHost; overlay: OverlayHost }
  const key = (n: number) => `${n}`.padStart(64, '0') as PublicKey
  const placed = (n: number) => cluster.nodes[(index + n) % cluster.nodes.length]!.overlay.self
  const found = survey(
    {
      env: host.env,
      overlay,
      placement: host.placement,
      copies: 3,
      replicas: 3,
      seatCap: 31,
      counted: () => countedMembers(overlay),
      near: () =>
        surroundings(overlay).map(({ side, members, share }) => {
          return { name: `${side} this node`, members, sample: { members: members.length, share } }
        }),
      shareTo: (at, contact) => shareTo(overlay, at, contact),
      committee: () => Array.from({ length: bankers }, (_, n) => key(n)),
      host: key(0),
      find: async (banker) => placed(Number(banker)),
      keys: () => Array.from({ length: 5 }, (_, n) => ({ name: `pin ${n}`, key: hashKey(`pin ${n}`) })),
    },
    {},
  )
  return sybilReport(await cluster.schedule.until(found))
}

describe.each(['ip-port', 'ip-prefix'] as const)('an honest ring, %s', (placement) => {
  test.each(seeds(2))('its size is about right, and nothing crowds: seed %i', async (seed) => {
    const cluster = new Cluster({ seed, placement, ipOf: ipOf(seed) })
    cluster.start(600)
    await cluster.schedule.run(3000)
    const { size, density, addresses, committee, groups, unanswered } = await reportOf(cluster, 3, 4)
    expect(size.exact).toBe(false)
    // 24 samples of three and eight neighbours: one standard deviation is 11 %.
    expect(Math.abs(size.members / 600 - 1)).toBeLessThan(0.45)
    expect(size.low).toBeLessThan(size.members)
    expect(size.high).toBeGreaterThan(size.members)
    expect(density.length).toBe(2 + 4 + 5)
    expect(density.filter(({ alarm }) => alarm)).toEqual([])
    expect(addresses.parties).toBe(addresses.seen)
    expect(committee).toMatchObject({ seats: 4, tolerated: 1, seated: true, located: 4 })
    expect(groups).toMatchObject({ mine: 5, held: 0 })
    expect(unanswered).toBe(0)
  })
})

test.each(seeds(1))('in a space of VHash the size is about right too: seed %i', async (seed) => {
  const space = dealt(spaceNamed('torus2'))
  const cluster = new VHashCluster({ seed, settings: { space }, placement: 'ip-prefix', ipOf: ipOf(seed) })
  cluster.start(150)
  await cluster.schedule.run(3000)
  const { size, density } = await reportOf(cluster, 5, 4)
  expect(size.exact).toBe(false)
  expect(Math.abs(size.members / 150 - 1)).toBeLessThan(0.5)
  expect(density.filter(({ alarm }) => alarm)).toEqual([])
})

test('where all members are known, they are counted', async () => {
  const cluster = new Cluster({ seed: 1, ipOf: ipOf(1) })
  cluster.start(4)
  await cluster.schedule.run(3000)
  const { size, density } = await reportOf(cluster, 0, 1)
  expect(size).toEqual({ members: 4, low: 4, high: 4, exact: true })
  expect(density).toEqual([])
})

test('ids that crowd around a node are seen by it, and by who asks for it', async () => {
  const cluster = new Cluster({ seed: 7, ipOf: ipOf(7), settings: { successors: 8, replicas: 5 } })
  cluster.start(500)
  await cluster.schedule.run(2000)
  const victim = cluster.nodes[0]!
  // Ports are tried until eight ids are just behind the victim's.
  const after = (port: number) => {
    const address = { peer: `sybil ${port}`, ip: '198.18.0.1', port, incarnation: 1 }
    return { address, ahead: shareTo(victim.overlay, victim.chord.self.id, contactAt(address, 0)) }
  }
  const near = Array.from({ length: 60_000 }, (_, i) => after(1024 + i)).sort((a, b) => a.ahead - b.ahead)
  for (const { address } of near.slice(0, 8)) {
    const node = { host: { self: { ...address, incarnation: 0 } } } as (typeof cluster.nodes)[number]
    await cluster.schedule.until(cluster.join(node))
  }
  await cluster.schedule.run(cluster.schedule.nowMs + 15_000)
  const own = await reportOf(cluster, 0, 1)
  const alarms = own.density.filter(({ alarm }) => alarm).map(({ name }) => name)
  expect(alarms).toEqual(expect.arrayContaining(['after this node', 'banker 00000000']))
  expect(own.advice[0]!.kind).toBe('alarm')
  const other = await reportOf(cluster, 200, 1)
  expect(other.density.filter(({ alarm }) => alarm)).toEqual([])
})
