/** What a job is asked for by: its module, whose code goes into the overlay first when it is a file of the user's own. */
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import type { RemoteHost } from '../../api/client.ts'
import type { JobRequest } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import { jobFile, type ModuleOptions, paramsOf } from './own.ts'

export interface Asked {
  readonly request: JobRequest
  /** Does what sends it; an error has the places of the user's own files. */
  run<T>(work: (request: JobRequest) => Promise<T>): Promise<T>
}

/** Throws `usage` before anything is sent. */
export async function askedFor(
  cli: Cli,
  module: string,
  options: ModuleOptions,
): Promise<Asked & { host: RemoteHost }> {
  const params = paramsOf(module, options)
  const host = await cli.connect()
  const { code, explain } = module.startsWith('builtin:')
    ? ({ code: module } as Added)
    : await addCode(cli, host, module)
  const { input, seed = randomInt(2 ** 32) } = options
  const request = { module: code, params, seed, ...(input !== undefined && { input }) }
  return {
    host,
    request,
    run: (work) =>
      work(request).catch((error: unknown) => {
        throw explain ? explain(error) : error
      }),
  }
}

interface Added {
  readonly code: string
  readonly explain?: (error: unknown) => unknown
}

/** Puts the code of a file into the overlay, from where the hosts that run it get it by its CID. */
async function addCode(cli: Cli, { store }: RemoteHost, path: string): Promise<Added> {
  await jobFile(path)
  const { bundleJob, inOwnFiles } = await import('../../job-file.ts')
  const { code, map } = await bundleJob(resolve(path))
  const { cid } = await store.addFile(oncePiece(code), { pin: false, signal: cli.signal })
  return { code: cid, explain: (error) => inOwnFiles(error, map) }
}

async function* oncePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
