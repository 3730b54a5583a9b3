/** Hosts that run jobs on the real ring and the real registers, in the simulator; with an executor that takes virtual time. */

import type { Env } from '../src/core/env.ts'
import { createRegisters, type RegisterStore } from '../src/dht/store/registers.ts'
import type { Executor } from '../src/mapreduce/ports.ts'
import { createJobsService, type JobsService } from '../src/mapreduce/service.ts'
import type { JobView } from '../src/mapreduce/types.ts'
import { Cluster, type ClusterOptions, type SimNode } from './cluster.ts'
import { fakeSigner } from './fake-signer.ts'
import { fakeStore } from './fake-store.ts'

interface JobsNode {
  readonly registers: RegisterStore
  readonly service: JobsService
}

export interface JobsClusterOptions extends ClusterOptions {
  readonly executor: (env: Env) => Executor
}

export class JobsCluster extends Cluster {
  readonly #executor: (env: Env) => Executor
  /** Of all hosts. */
  readonly stored = fakeStore()
  readonly #jobs = new Map<SimNode, JobsNode>()

  constructor(options: JobsClusterOptions) {
    super(options)
    this.#executor = options.executor
  }

  override spawn(again?: SimNode): SimNode {
    const node = super.spawn(again)
    const { host, overlay } = node
    const { env } = host
    const registers = createRegisters({ env, transport: host, overlay })
    const service = createJobsService({
      env,
      transport: host,
      overlay,
      registers,
      executor: this.#executor(env),
      store: this.stored.store,
      signer: fakeSigner(host.peer),
    })
    service.start()
    registers.start()
    this.#jobs.set(node, { registers, service })
    return node
  }

  override kill(node: SimNode): void {
    super.kill(node)
    this.#jobs.delete(node)
  }

  service(node: SimNode): JobsService {
    return (this.#jobs.get(node) as JobsNode).service
  }

  get services(): JobsService[] {
    return [...this.#jobs.values()].map(({ service }) => service)
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
  async #ask(node: SimNode, id: string): Promise<JobView | undefined> {
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
