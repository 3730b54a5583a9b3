/**
 * What a block store must hold, as sets of what is possible: after a power cut, what was acknowledged is certain, and what
 * was asked for but not acknowledged may be so or not.
 */
import { expect } from 'vitest'
import type { Random } from '../../../../src/core/env.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import type { BlockMeta, BlockStore } from '../../../../src/dht/blocks.ts'

export type Action =
  | { readonly kind: 'put' | 'extend'; readonly block: number; readonly lease: number }
  | { readonly kind: 'delete' | 'get'; readonly block: number }

const BLOCKS = 12

/** Of 0 to 300 bytes, so that some are shorter than a sector and some longer than a segment. */
export function bodyOf(block: number): Uint8Array {
  return new Uint8Array(Buffer.alloc((block * 29) % 301, `block ${block} `))
}

export function metaOf(block: number, expiresAtMs: number): BlockMeta {
  const bytes = bodyOf(block)
  return { key: hashKey(bytes), sizeBytes: bytes.length, expiresAtMs, publisher: `publisher ${block % 3}` }
}

/** Actions in waves: those of a wave are under way together. */
export function someWaves(random: Random, waves: number): Action[][] {
  return Array.from({ length: waves }, () =>
    Array.from({ length: 1 + random.int(6) }, (): Action => {
      const block = random.int(BLOCKS)
      const kind = (['put', 'put', 'put', 'extend', 'delete', 'delete', 'get'] as const)[random.int(7)]!
      return kind === 'put' || kind === 'extend' ? { kind, block, lease: 1 + random.int(100) } : { kind, block }
    }),
  )
}

/** 0: not here. */
type Lease = number

function applied(lease: Lease, action: Action): Lease {
  if (action.kind === 'put') return Math.max(lease, action.lease)
  if (action.kind === 'extend') return lease === 0 ? 0 : Math.max(lease, action.lease)
  return action.kind === 'delete' ? 0 : lease
}

export class StoreModel {
  /** What the open store must say. */
  readonly #live = new Map<number, Lease>()
  /** What a start may find. */
  readonly #durable = new Map<number, Set<Lease>>()
  /** Deletes are true in memory only when the disk is full. */
  surelyDeletes = true

  /** Runs the waves until the disk is off. Throws when the store contradicts the model. */
  async run(
    store: BlockStore,
    waves: readonly (readonly Action[])[],
    isOff: () => boolean = () => false,
  ): Promise<void> {
    for (const wave of waves) {
      if (isOff()) return
      const outcomes = await Promise.allSettled(wave.map((action) => perform(store, action)))
      for (const [i, action] of wave.entries())
        this.#note(action, outcomes[i] as PromiseSettledResult<unknown>, isOff())
      if (!isOff()) this.checkLive(store)
    }
  }

  #note(action: Action, outcome: PromiseSettledResult<unknown>, off: boolean): void {
    const { block } = action
    const live = this.#live.get(block) ?? 0
    const durable = this.#durable.get(block) ?? new Set([0])
    const next = [...durable].map((lease) => applied(lease, action))
    // What is not here needs no delete: a put that failed, and reached the disk all the same, may come back.
    const isKnown = action.kind === 'put' || (live > 0 && (action.kind !== 'delete' || this.surelyDeletes))
    const isSure = outcome.status === 'fulfilled' && isKnown
    this.#durable.set(block, new Set(isSure ? next : [...durable, ...next]))
    // A rejected one, too, may have reached the disk, alone or with a lease of its own.
    if (action.kind === 'put' && !isSure) this.#durable.get(block)?.add(action.lease)
    if (outcome.status === 'rejected') {
      expect(outcome.reason).toMatchObject({ code: 'io' })
      if (action.kind === 'delete') this.#live.set(block, 0)
      return
    }
    if (!off && action.kind === 'extend') expect(outcome.value).toBe(live > 0)
    // Others of the wave may come before it or after.
    if (action.kind === 'get' && outcome.value !== undefined) expect(outcome.value).toEqual(bodyOf(block))
    this.#live.set(block, applied(live, action))
  }

  checkLive(store: BlockStore): void {
    const held = [...this.#live].filter(([, lease]) => lease > 0)
    for (const [block, lease] of held) expect(store.meta(metaOf(block, 0).key)).toMatchObject(metaOf(block, lease))
    expect(store.count).toBe(held.length)
    expect([...store.entries()].length).toBe(held.length)
    expect(store.bytes).toBe(held.reduce((sum, [block]) => sum + bodyOf(block).length, 0))
  }

  /** What a store says after a start; the model goes on from there. Returns the acknowledged blocks that are lost. */
  async adopt(store: BlockStore): Promise<string[]> {
    const lost: string[] = []
    for (const [block, durable] of this.#durable) {
      const meta = store.meta(metaOf(block, 0).key)
      const lease = meta?.expiresAtMs ?? 0
      const bytes = await store.get(metaOf(block, 0).key)
      if (!durable.has(lease)) lost.push(`block ${block}: lease ${lease} of ${[...durable]}`)
      else if (lease > 0 && Buffer.compare(bytes ?? Buffer.from('none'), bodyOf(block)) !== 0)
        lost.push(`block ${block}: bytes`)
      this.#live.set(block, lease)
      this.#durable.set(block, new Set([lease]))
    }
    return lost
  }
}

function perform(store: BlockStore, action: Action): Promise<unknown> {
  const { key } = metaOf(action.block, 0)
  switch (action.kind) {
    case 'put':
      return store.put(metaOf(action.block, action.lease), bodyOf(action.block))
    case 'extend':
      return store.extend(key, action.lease)
    case 'delete':
      return store.delete(key)
    case 'get':
      return store.get(key)
  }
}
