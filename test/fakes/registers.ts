/** Registers on every host of a fake ring, and a kind of register with the least that a merge must be: a growing set. */
import { Type } from 'typebox'
import { errorCode } from '../../src/core/errors.ts'
import { hashKey, type Key } from '../../src/core/ids.ts'
import type { RegisterKind } from '../../src/dht/registers.ts'
import { createRegisters, type RegisterStore } from '../../src/dht/store/registers.ts'
import { type FakeHost, FakeRing, type FakeRingOptions } from './ring.ts'

export interface Words {
  readonly words: readonly string[]
}

export const wordsKind: RegisterKind<Words> = {
  name: 'test/words',
  schema: Type.Object({ words: Type.Array(Type.String()) }, { additionalProperties: false }),
  merge: (a, b) => ({ words: [...new Set([...a.words, ...b.words])].sort() }),
  expiresAfterMs: 3_600_000,
  admit: (_key, value) => !value.words.includes('forbidden'),
}

export const words = (...list: string[]): Words => ({ words: list })

export interface RegisterNode {
  readonly host: FakeHost
  readonly store: RegisterStore
}

/** A network whose every host keeps registers. */
export class RegisterNetwork {
  readonly ring: FakeRing
  readonly nodes: RegisterNode[] = []

  constructor(options: FakeRingOptions) {
    this.ring = new FakeRing(options)
  }

  /** Everybody sees everybody. */
  static async of(options: FakeRingOptions, count: number): Promise<RegisterNetwork> {
    const made = new RegisterNetwork(options)
    for (let i = 0; i < count; i++) made.join()
    await made.ring.run(2 * (options.viewLagMs ?? 0) + 1)
    return made
  }

  add(): RegisterNode {
    const host = this.ring.add()
    const { env, transport, overlay } = host
    const store = createRegisters({ env, transport, overlay })
    store.define(wordsKind)
    store.start()
    const node = { host, store }
    this.nodes.push(node)
    return node
  }

  join(): RegisterNode {
    const node = this.add()
    this.ring.join(node.host)
    return node
  }

  get live(): RegisterNode[] {
    return this.nodes.filter(({ host }) => host.alive && host.member)
  }

  group(key: Key): RegisterNode[] {
    return this.ring.group(key).map((host) => this.nodes.find((node) => node.host === host) as RegisterNode)
  }

  outsider(key: Key): RegisterNode {
    const group = this.group(key)
    return this.live.find((node) => !group.includes(node)) as RegisterNode
  }

  holders(key: Key): RegisterNode[] {
    return this.live.filter(({ store }) => store.local(wordsKind, key))
  }

  update(node: RegisterNode, key: Key, ...list: string[]) {
    return this.ring.until(node.store.update(wordsKind, key, words(...list)))
  }

  read(node: RegisterNode, key: Key) {
    return this.ring.until(node.store.read(wordsKind, key))
  }

  async stopAll(): Promise<void> {
    await this.ring.until(Promise.all(this.nodes.filter(({ host }) => host.alive).map(({ store }) => store.stop())))
  }
}

/** Keys in any number, always the same. */
export const keysOf = (count: number): Key[] =>
  Array.from({ length: count }, (_, index) => hashKey(`register ${index}`))

/** `done`, or the code of the error. */
export const outcome = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'done', errorCode)
