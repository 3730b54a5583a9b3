/**
 * The model of `sybil-balance.ts` done in the plainest way: lists of objects, and whenever the ids change the owner of
 * every task is looked up again. It draws the same random numbers in the same order, so both must agree to the last tick.
 */

import type { SybilCase } from '../../../../sim/studies/sybil-balance.ts'
import type { Random } from '../../../../src/core/env.ts'

interface Host {
  id: number
  sybils: number[]
  strength: number
  /** Keys; the last is done first. */
  stack: number[]
}

interface Place {
  id: number
  host: Host
}

export function plainTrial(given: SybilCase, random: Random): { ticks: number; loads: number[]; moved: number } {
  const place = () => (Math.floor(random.next() * 2 ** 26) * 2 ** 27 + Math.floor(random.next() * 2 ** 27)) * 2 ** -53
  const ids = Array.from({ length: given.nodes }, place).sort((a, b) => a - b)
  let hosts: Host[] = ids.map((id) => {
    return {
      id,
      sybils: [],
      strength: given.hosts === 'equal' ? given.strength : 1 + random.int(given.strength),
      stack: [],
    }
  })
  /** Places for as many hosts again as are in; a host that comes takes the first that is free. */
  const slots: (Host | undefined)[] = [...hosts, ...hosts.map(() => undefined)]
  let moved = 0
  const circle = (): Place[] => {
    const places = hosts.flatMap((host) => [host.id, ...host.sybils].map((id) => ({ id, host })))
    return places.sort((a, b) => a.id - b.id)
  }
  const ownerOf = (key: number) => {
    const places = circle()
    return (places.find(({ id }) => id >= key) ?? places[0]!).host
  }
  for (let i = 0; i < given.tasks; i++) {
    const key = place()
    ownerOf(key).stack.push(key)
  }
  const loads = hosts.map(({ stack }) => stack.length)
  const ideal =
    given.tasks / (given.work === 'one' ? given.nodes : hosts.reduce((sum, { strength }) => sum + strength, 0))
  const wanted = Math.floor((given.tasks / given.nodes) * given.threshold)

  function inject(host: Host, id: number): void {
    host.sybils.push(id)
    handOver(host)
  }

  /** To a host with a new id. */
  function handOver(host: Host): void {
    for (const from of hosts) {
      const stays: number[] = []
      for (const key of from.stack) {
        const owner = from === host ? host : ownerOf(key)
        if (owner === from) stays.push(key)
        else {
          owner.stack.push(key)
          moved++
        }
      }
      from.stack = stays
    }
  }

  function leaveAndJoin(): void {
    const free = slots.filter((slot) => !slot).length
    const leaving = hosts.filter(() => random.next() < given.churn)
    let joining = 0
    for (let i = 0; i < free; i++) {
      if (random.next() >= given.churn) continue
      joining++
      i++
    }
    if (leaving.length === hosts.length) leaving.pop()
    for (const host of leaving) slots[slots.indexOf(host)] = undefined
    hosts = slots.filter((slot) => slot !== undefined)
    for (const key of leaving.flatMap(({ stack }) => stack)) {
      ownerOf(key).stack.push(key)
      moved++
    }
    for (; joining > 0; joining--) {
      const host = { id: place(), sybils: [], strength: given.strength, stack: [] }
      slots[slots.findIndex((slot) => !slot)] = host
      hosts = slots.filter((slot) => slot !== undefined)
      handOver(host)
    }
  }

  function between(host: Host, places: Place[], index: number): void {
    const n = places.length
    const from = places[(index + n) % n]!.id
    const to = places[(index + 1 + n) % n]!.id
    inject(host, (from + (to > from ? to - from : to - from + 1) * random.next()) % 1)
  }

  function follow(host: Host): void {
    const places = circle()
    const n = places.length
    const index = places.findIndex(({ id }) => id === host.id)
    const near = Array.from({ length: given.successors }, (_, i) => index + i)
    const hungry = host.stack.length <= wanted && host.sybils.length < host.strength
    if (given.strategy === 'invite') {
      if (host.stack.length < ideal - wanted) return
      const helpers = near
        .map((_, i) => places[(index - 1 - i + n) % n]!.host)
        .filter((other) => other !== host && other.stack.length <= wanted && other.sybils.length < other.strength)
      const least = Math.min(...helpers.map(({ stack }) => stack.length))
      const helper = helpers.findLast(({ stack }) => stack.length === least)
      if (helper) between(helper, places, index - 1)
    } else if (!hungry) return
    else if (given.strategy === 'random') inject(host, place())
    else if (given.strategy === 'neighbour-published') {
      if (index + 1 + given.successors < n) between(host, places, index)
      else inject(host, place())
    } else if (given.strategy === 'neighbour') {
      const gaps = near.map((at) => (places[(at + 1) % n]!.id - places[at % n]!.id + 1) % 1)
      between(host, places, index + gaps.indexOf(Math.max(...gaps)))
    } else if (given.strategy === 'smart') {
      const found = near.map((at) => places[(at + 1) % n]!.host.stack.length)
      const most = Math.max(...found)
      if (most > host.stack.length) between(host, places, index + found.indexOf(most))
    }
  }

  let ticks = 0
  for (; hosts.some(({ stack }) => stack.length > 0); ticks++) {
    if (given.strategy !== 'none' && ticks % given.everyTicks === 0) {
      for (const host of hosts) {
        follow(host)
        if (host.stack.length === 0) host.sybils = []
      }
    }
    if (given.churn > 0) leaveAndJoin()
    for (const host of hosts) host.stack.splice(-(given.work === 'one' ? 1 : host.strength))
  }
  return { ticks, loads, moved }
}
