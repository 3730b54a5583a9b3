/** Hosts that run jobs on a real overlay and the real registers, in the simulator; with an executor that takes virtual time. */

import type { Env, Random } from '../src/core/env.ts'
import { createRegisters, type RegisterStore } from '../src/dht/store/registers.ts'
import type { Executor } from '../src/mapreduce/ports.ts'
import { createJobsService, type JobsService } from '../src/mapreduce/service.ts'
import type { JobView } from '../src/mapreduce/types.ts'
import { type AnyCluster, type AnyClusterOptions, type AnyNode, clusterIn } from './any-cluster.ts'
import { fakeSigner } from './fake-signer.ts'
import { fakeStore } from './fake-store.ts'

interface JobsNode {
  readonly registers: RegisterStore
  readonly service: JobsService
}

export interface JobsClusterOptions extends AnyClusterOptions {
  readonly executor: (env: Env) => Executor
}

export class JobsCluster {
  readonly cluster: AnyCluster
  /** Of all hosts. */
  readonly stored = fakeStore()
  readonly #jobs = new WeakMap<AnyNode, JobsNode>()

  constructor({ executor, ...options }: JobsClusterOptions) {
    this.cluster = clusterIn(options)
    this.cluster.onSpawn((node) => {
      const { host, overlay } = node
      const { env } = host
      const registers = createRegisters({ env, transport: host, overlay })
      const service = createJobsService({
        env,
        transport: host,
        overlay,
        registers,
        executor: executor(env),
        store: this.stored.store,
        signer: fakeSigner(host.peer),
      })
      service.start()
      registers.start()
      this.#jobs.set(node, { registers, service })
    })
  }

  get schedule() {
    return this.cluster.schedule
  }

  get network() {
    return this.cluster.network
  }

  get random() {
    return this.cluster.random
  }

  /** Live hosts that have joined. */
  get nodes(): readonly AnyNode[] {
    return this.cluster.nodes
  }

  start(size: number): void {
    this.cluster.start(size)
  }

  join(again?: AnyNode): Promise<AnyNode> {
    return this.cluster.join(again)
  }

  stopJoins(): void {
    this.cluster.stopJoins()
  }

  kill(node: AnyNode): void {
    this.cluster.kill(node)
  }

  pick(random?: Random): AnyNode | undefined {
    return this.cluster.pick(random)
  }

  service(node: AnyNode): JobsService {
    return (this.#jobs.get(node) as JobsNode).service
  }

  get services(): JobsService[] {
    return this.nodes.map((node) => this.service(node))
  }

  /** Asks one live host after the other until the job is over. */
  async follow(id: string, limitMs: number): Promise<JobView> {
    const end = this.schedule.nowMs + limitMs
    let last: JobView | undefined
    while (this.schedule.nowMs < end) {
      await this.schedule.run(this.schedule.nowMs + 500)
      const node = this.pick()
      if (!node) continue
      const view = await this.#ask(node, id)
      if (view) last = view
      if (view && (view.state === 'succeeded' || view.state === 'failed' || view.state === 'cancelled')) return view
    }
    throw new Error(`the job is not over after ${limitMs} ms: ${JSON.stringify(last)}`)
  }

  /** Undefined when the host dies over it. */
  async #ask(node: AnyNode, id: string): Promise<JobView | undefined> {
    let view: JobView | undefined
    let over = false
    this.service(node)
      .jobs.show(id)
      .then(
        (found) => {
          view = found
          over = true
        },
        () => {
          over = true
        },
      )
    while (!over && node.host.alive) await this.schedule.run(this.schedule.nowMs + 50)
    return view
  }
}
