/** Hosts that run jobs over the overlay that knows (`oracle-overlay.ts`), with real registers and the real jobs service. */
import type { Env } from '../src/core/env.ts'
import type { Overlay } from '../src/dht/overlay.ts'
import { createRegisters } from '../src/dht/store/registers.ts'
import type { Executor, JobStore } from '../src/mapreduce/ports.ts'
import { createJobsService, type JobsService } from '../src/mapreduce/service.ts'
import { fakeSigner } from './fake-signer.ts'
import { fakeStore } from './fake-store.ts'
import { type NetworkOptions, type SimHost, SimNetwork } from './network.ts'
import { OracleOverlay, OracleRing } from './oracle-overlay.ts'

/** Registers, and commits of segments, are kept by so many hosts. */
const REPLICAS = 4

export interface OracleNode {
  readonly host: SimHost
  readonly overlay: Overlay
  readonly service: JobsService
}

export class OracleJobs {
  readonly network: SimNetwork
  readonly nodes: OracleNode[] = []
  readonly store: JobStore
  readonly #ring = new OracleRing(REPLICAS, { fingers: true })

  /** `store`: in place of what the store of all hosts would do. */
  constructor(options: NetworkOptions, store: Partial<JobStore> = {}) {
    this.network = new SimNetwork(options)
    this.store = { ...fakeStore().store, ...store }
  }

  get schedule() {
    return this.network.schedule
  }

  /** A new host, which is in the overlay at once. */
  add(executor: (env: Env) => Executor): OracleNode {
    const host = this.network.host()
    const { env } = host
    const overlay = new OracleOverlay(this.#ring, host)
    const registers = createRegisters({ env, transport: host, overlay })
    const signer = fakeSigner(host.peer)
    const ports = { env, transport: host, overlay, registers, signer, store: this.store }
    const service = createJobsService({ ...ports, executor: executor(env) })
    service.start()
    registers.start()
    void overlay.join()
    const node = { host, overlay, service }
    this.nodes.push(node)
    return node
  }
}
