/**
 * Scenario `store`: a network keeps blocks for a year, while its hosts come and go as PlanetLab's did, and now and then
 * one is lost with its disk. Beside it runs an oracle that knows which failures are permanent, and makes a copy only for
 * each one that is lost for good: the least that any repair can send.
 *
 * What is real: block service, repair, messages, time-outs. What is not: the ring. A year of maintenance of 1,000 nodes
 * would be 10^11 events, so `OracleOverlay` says who owns what, with a lag; lookups cost time and no messages. Blocks are
 * few bytes each and all of one size, so bytes stand for copies. Sessions and downtimes are log-normal: a median
 * session of 12 hours, a median downtime of 20 minutes with a heavy tail (Chun et al. 2006, table 1: 1,208 s); the mean
 * host is up 94 % of the time. A host lives for four weeks on average (exponential), then its disk is gone and another
 * host comes, elsewhere in the ring. `--churn` instead kills a share of the hosts every second, who come back with
 * their disks after 30 s on average; gets run all the time.
 */
import type { Random } from '../../src/core/env.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import type { Key } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { cidOf, keyOfCid } from '../../src/dht/cid.ts'
import { type BlockService, createBlocks } from '../../src/dht/store/blocks/service.ts'
import { MemoryBlocks } from '../../src/dht/store/memory-blocks.ts'
import { Call } from '../churn.ts'
import { type SimHost, SimNetwork } from '../network.ts'
import { OracleOverlay, OracleRing } from '../oracle-overlay.ts'

export interface StoreOptions {
  nodes: number
  blocks: number
  replicas: number
  days: number
  seed: number
  /** Share of the hosts that go per second, for `seconds`, instead of days. */
  churn: number
  seconds: number
  getsPerSecond: number
}

export const STORE_DEFAULTS: StoreOptions = {
  nodes: 1000,
  blocks: 100_000,
  replicas: 3,
  days: 365,
  seed: 1,
  churn: 0,
  seconds: 600,
  getsPerSecond: 100,
}

export interface StoreResult {
  blocks: number
  /** Blocks of which no copy is left on any disk, whether its host is up or not. */
  lost: number
  repairBytes: number
  oracleBytes: number
  /** Null: the oracle had nothing to do. */
  ratio: number | null
  /** Mean share of the hosts that are up. */
  up: number
  /** Copies per block on disks at the end. */
  copies: number
  gone: number
  lostDisks: number
  gets: number
  getsFailed: number
  events: number
  digest: string
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const BLOCK_BYTES = 32
const PERIOD_MS = 15 * 60_000
const SESSION = { medianMs: 12 * HOUR_MS, sigma: 1.2 }
const DOWNTIME = { medianMs: 20 * 60_000, sigma: 1.6 }
const LEASE_MS = 20_000 * DAY_MS
const LIFE_MS = 28 * DAY_MS
const CHURN_DOWN_MS = 30_000

interface Host {
  readonly random: Random
  readonly diesAtMs: number
  sim: SimHost
  store: MemoryBlocks
  blocks: BlockService
  overlay: OracleOverlay
  up: boolean
  /** Copies that the oracle keeps here. */
  readonly oracle: Set<Key>
}

export async function runStore(options: StoreOptions, onProgress?: (line: string) => void): Promise<StoreResult> {
  return new StoreRun(options, onProgress).run()
}

class StoreRun {
  readonly #options: StoreOptions
  readonly #progress: (line: string) => void
  readonly #network: SimNetwork
  readonly #ring: OracleRing
  readonly #random: Random
  readonly #hosts: Host[] = []
  #repairBytes = 0
  #oracleBytes = 0
  #gone = 0
  #lostDisks = 0
  #gets = 0
  #getsFailed = 0

  constructor(options: StoreOptions, onProgress: ((line: string) => void) | undefined) {
    this.#options = options
    this.#progress = onProgress ?? (() => {})
    this.#network = new SimNetwork({ seed: options.seed })
    this.#ring = new OracleRing(options.replicas)
    this.#random = seededRandom(`${options.seed}/store`)
  }

  async run(): Promise<StoreResult> {
    const { options, schedule } = { options: this.#options, schedule: this.#network.schedule }
    for (let i = 0; i < options.nodes; i++) this.#hosts.push(this.#newHost())
    const keys = await this.#fill()
    const cids = keys.map(({ cid }) => cid)
    const endMs = options.churn > 0 ? options.seconds * 1000 : options.days * DAY_MS
    for (const host of this.#hosts) this.#live(host)
    if (options.churn > 0) this.#readAll(cids, endMs)
    let upShares = 0
    const steps = 100
    for (let step = 1; step <= steps; step++) {
      await schedule.run((endMs * step) / steps)
      upShares += this.#hosts.filter(({ up }) => up).length / this.#hosts.length
      const { repair, oracle } = { repair: this.#sent(), oracle: this.#oracleBytes }
      this.#progress(
        `${((100 * step) / steps).toFixed(0)} %: ${schedule.events} events, ${this.#lostDisks} disks lost, ` +
          `repair ${repair} bytes, oracle ${oracle}, ratio ${(repair / Math.max(1, oracle)).toFixed(2)}`,
      )
    }
    const held = new Map<Key, number>()
    for (const { store } of this.#hosts) {
      for (const { key } of store.entries()) held.set(key, (held.get(key) ?? 0) + 1)
    }
    const repairBytes = this.#sent()
    return {
      blocks: options.blocks,
      lost: keys.filter(({ key }) => !held.has(key)).length,
      repairBytes,
      oracleBytes: this.#oracleBytes,
      ratio: this.#oracleBytes > 0 ? Math.round((repairBytes / this.#oracleBytes) * 1000) / 1000 : null,
      up: Math.round((upShares / steps) * 1000) / 1000,
      copies: Math.round(([...held.values()].reduce((sum, n) => sum + n, 0) / options.blocks) * 100) / 100,
      gone: this.#gone,
      lostDisks: this.#lostDisks,
      gets: this.#gets,
      getsFailed: this.#getsFailed,
      events: schedule.events,
      digest: schedule.digest,
    }
  }

  #newHost(): Host {
    const sim = this.#network.host()
    const random = this.#random.fork(sim.peer)
    const store = new MemoryBlocks(Number.MAX_SAFE_INTEGER)
    const diesAtMs = this.#network.schedule.nowMs - Math.log(1 - random.next()) * LIFE_MS
    const host = { random, diesAtMs, sim, store, up: true, oracle: new Set<Key>() } as unknown as Host
    this.#start(host, sim)
    return host
  }

  #start(host: Host, sim: SimHost): void {
    host.sim = sim
    host.overlay = new OracleOverlay(this.#ring, sim)
    host.blocks = createBlocks({
      env: sim.env,
      transport: sim,
      overlay: host.overlay,
      store: host.store,
      replicas: this.#options.replicas,
      maxLeaseMs: LEASE_MS,
      publisherQuotaBytes: Number.MAX_SAFE_INTEGER,
      repairPeriodMs: this.#options.churn > 0 ? 10_000 : PERIOD_MS,
    })
    host.up = true
    void host.overlay.join()
    host.blocks.start()
  }

  #stop(host: Host): void {
    this.#repairBytes += host.blocks.stats.counters.repairBytes ?? 0
    this.#ring.remove(host.overlay)
    host.sim.kill()
    host.up = false
  }

  #sent(): number {
    return this.#hosts.reduce(
      (sum, host) => sum + (host.up ? (host.blocks.stats.counters.repairBytes ?? 0) : 0),
      this.#repairBytes,
    )
  }

  /** Every block at its group, with a lease that outlasts the run: leases are for other tests. */
  async #fill() {
    const keys = Array.from({ length: this.#options.blocks }, (_, i) => {
      const bytes = new Uint8Array(BLOCK_BYTES)
      new DataView(bytes.buffer).setUint32(0, i)
      const cid = cidOf('raw', bytes)
      return { cid, key: keyOfCid(cid), bytes }
    })
    const byPeer = new Map(this.#hosts.map((host) => [host.sim.peer, host]))
    const observer = this.#hosts[0]!.overlay
    for (const { key, bytes } of keys) {
      for (const { peer } of observer.replicas(key)) {
        const host = byPeer.get(peer)!
        const meta = { key, sizeBytes: BLOCK_BYTES, expiresAtMs: LEASE_MS, publisher: 'publisher' }
        await host.store.put(meta, bytes)
        host.oracle.add(key)
      }
    }
    // As a start with full disks: quotas and what is held are counted when a service is made.
    for (const host of this.#hosts) {
      this.#ring.remove(host.overlay)
      host.sim.kill()
    }
    for (const host of this.#hosts) this.#restart(host)
    return keys
  }

  #restart(host: Host): void {
    const { self } = host.sim
    this.#start(host, this.#network.host({ ...self, incarnation: self.incarnation + 1 }))
  }

  #at(ms: number, act: () => void): void {
    const { schedule } = this.#network
    schedule.add(new Call(act), schedule.nowMs + ms)
  }

  /** One session after the other, until the disk is lost. */
  #live(host: Host): void {
    const { nowMs } = this.#network.schedule
    const { churn } = this.#options
    const exponential = (meanMs: number) => -Math.log(1 - host.random.next()) * meanMs
    const sessionMs = churn > 0 ? exponential(1000 / churn) : logNormal(host.random, SESSION)
    const dies = churn === 0 && nowMs + sessionMs >= host.diesAtMs
    this.#at(dies ? Math.max(0, host.diesAtMs - nowMs) : sessionMs, () => {
      this.#stop(host)
      this.#gone++
      if (dies) return this.#replace(host)
      this.#at(churn > 0 ? exponential(CHURN_DOWN_MS) : logNormal(host.random, DOWNTIME), () => {
        this.#restart(host)
        this.#live(host)
      })
    })
  }

  /** The disk is gone. The oracle makes up for its copies elsewhere, at once; another host comes after a while. */
  #replace(host: Host): void {
    this.#lostDisks++
    for (const key of host.oracle) {
      this.#oracleBytes += BLOCK_BYTES
      for (;;) {
        const other = this.#hosts[this.#random.int(this.#hosts.length)]!
        if (other === host || other.oracle.has(key)) continue
        other.oracle.add(key)
        break
      }
    }
    const index = this.#hosts.indexOf(host)
    host.oracle.clear()
    host.store = new MemoryBlocks(Number.MAX_SAFE_INTEGER)
    this.#at(logNormal(host.random, DOWNTIME), () => {
      const fresh = this.#newHost()
      this.#hosts[index] = fresh
      // What the oracle gave to the place meanwhile is with whoever took it.
      for (const key of host.oracle) fresh.oracle.add(key)
      this.#live(fresh)
    })
  }

  #readAll(cids: readonly Parameters<BlockService['get']>[0][], untilMs: number): void {
    const { schedule } = this.#network
    const step = () => {
      if (schedule.nowMs >= untilMs) return
      void this.#read(cids[this.#random.int(cids.length)]!)
      this.#at(1000 / this.#options.getsPerSecond, step)
    }
    this.#at(1000, step)
  }

  async #read(cid: Parameters<BlockService['get']>[0]): Promise<void> {
    const up = this.#hosts.filter((host) => host.up)
    const reader = up[this.#random.int(up.length)]!
    const { sim } = reader
    try {
      await reader.blocks.get(cid)
      if (sim.alive) this.#gets++
    } catch (error) {
      if (!(error instanceof ChoraleError)) throw error
      if (!sim.alive) return
      this.#gets++
      this.#getsFailed++
    }
  }
}

function logNormal(random: Random, { medianMs, sigma }: { medianMs: number; sigma: number }): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  return medianMs * Math.exp(sigma * normal)
}
