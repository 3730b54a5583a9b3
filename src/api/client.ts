/**
 * The other end of the control API (routes.ts): a running host as an object. Jobs look the same from here as on the
 * host itself; what is a plain value there is a promise here.
 *
 * It trusts the shape of what its own user's host answers, so that a command needs no schemas and starts fast.
 */
import { ChoraleError } from '../core/errors.ts'
import type { JobRequest, Jobs, JobView } from '../mapreduce/types.ts'
import type { HostStatus, PeerView } from '../node.ts'
import { type CallOptions, caller, parseReply, readAll, readLines, send } from './calls.ts'
import { type RemoteStore, remoteStore } from './store-client.ts'

export interface RemoteHost {
  readonly jobs: Jobs
  readonly store: RemoteStore
  status(options?: CallOptions): Promise<HostStatus>
  peers(options?: CallOptions): Promise<PeerView[]>
  ping(target: string, options?: CallOptions): Promise<number>
  /** The host leaves after it has answered. */
  stop(options?: CallOptions): Promise<void>
}

/** No message is sent until the first call, which rejects with `no-node` when nobody listens. */
export function connectHost(socketPath: string): RemoteHost {
  const call = caller(socketPath)
  const job = (id: string, verb = '') => `/v1/jobs/${encodeURIComponent(id)}${verb}`
  return {
    store: remoteStore(socketPath),
    status: (options) => call('GET', '/v1/status', undefined, options),
    peers: (options) => call('GET', '/v1/peers', undefined, options),
    ping: async (target, options) => (await call<{ rttMs: number }>('POST', '/v1/ping', { target }, options)).rttMs,
    stop: async (options) => {
      await call('POST', '/v1/stop', {}, options)
    },
    jobs: {
      submit: (wanted: JobRequest, options) => call('POST', '/v1/jobs', wanted, options),
      list: () => call('GET', '/v1/jobs'),
      async show(id, options) {
        try {
          return await call<JobView>('GET', job(id), undefined, options)
        } catch (error) {
          if (error instanceof ChoraleError && error.code === 'not-found') return undefined
          throw error
        }
      },
      cancel: (id) => call('POST', job(id, '/cancel'), {}),
      async *watch(id, options) {
        const response = await send(socketPath, 'GET', job(id, '/watch'), { signal: options?.signal })
        if (response.statusCode !== 200) {
          parseReply(await readAll(response, options?.signal), response.statusCode ?? 0)
        }
        for await (const line of readLines(response, options?.signal)) yield parseReply<JobView>(line, 200)
      },
    },
  }
}
