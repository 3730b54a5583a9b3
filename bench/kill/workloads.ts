/** Jobs during which nodes are killed. */
import { createHash } from 'node:crypto'
import type { Cluster } from '../../src/cli/cluster.ts'
import { ChoraleError, errorCode } from '../../src/core/errors.ts'
import type { Json } from '../../src/mapreduce/types.ts'
import type { Workload } from './disturbed.ts'

export function piWorkload(samples: number, seed: number): Workload {
  const job = { module: 'builtin:pi', params: { samples }, seed }
  return {
    prepare: async () => ({ job, small: { ...job, params: { samples: Math.ceil(samples / 100) } } }),
    read: async (_cluster, value) => value,
  }
}

/** Over a stored text, in tasks of one block. What is compared is what the job has made, read from a node that is left. */
export function wordcountWorkload(text: () => AsyncIterable<Uint8Array>, seed: number): Workload {
  return {
    async prepare(cluster) {
      const { cid } = await cluster.hosts[0]!.store.addFile(text(), { pin: false })
      const job = { module: 'builtin:wordcount', params: { parts: 8, taskBlocks: 1 }, seed, input: cid }
      return { job, small: { module: 'builtin:noop', params: { tasks: 100 }, seed } }
    },
    async read(cluster, value) {
      const { output } = value as { output?: string }
      if (!output) return value
      return { ...(value as { [name: string]: Json }), sha256: await digestOf(cluster, output) }
    },
  }
}

async function digestOf(cluster: Cluster, cid: string): Promise<string> {
  for (const host of cluster.hosts) {
    try {
      const hash = createHash('sha256')
      for await (const piece of host.store.cat(cid)) hash.update(piece)
      return hash.digest('hex')
    } catch (error) {
      if (errorCode(error) !== 'no-node') throw error // that one was killed
    }
  }
  throw new ChoraleError('no-node', 'no node is left')
}
