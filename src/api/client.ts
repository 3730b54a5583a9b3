/**
 * The other end of the control API (routes.ts): a running host as an object. Jobs look the same from here as on the
 * host itself; what is a plain value there is a promise here.
 *
 * It trusts the shape of what its own user's host answers, so that a command needs no schemas and starts fast.
 */
import { decode } from '../core/cbor.ts'
import { ChoraleError } from '../core/errors.ts'
import type { JobLogLine, JobRequest, JobSpec, Jobs, JobView } from '../mapreduce/types.ts'
import type { HostStatus, PeerView, SybilReport } from '../node.ts'
import { type CallOptions, caller, lines } from './calls.ts'
import { type RemoteLedger, remoteLedger } from './ledger-client.ts'
import { type RemoteLending, remoteLending } from './lend-client.ts'
import { type RemoteMarket, remoteMarket } from './market-client.ts'
import type { SpecBody } from './routes.ts'
import { type RemoteStore, remoteStore } from './store-client.ts'

export interface RemoteHost {
  readonly jobs: Jobs
  readonly store: RemoteStore
  readonly ledger: RemoteLedger
  readonly lending: RemoteLending
  readonly market: RemoteMarket
  status(options?: CallOptions): Promise<HostStatus>
  peers(options?: CallOptions): Promise<PeerView[]>
  readonly sybil: { report(options?: CallOptions): Promise<SybilReport> }
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
    ledger: remoteLedger(socketPath),
    lending: remoteLending(socketPath),
    market: remoteMarket(socketPath),
    status: (options) => call('GET', '/v1/status', undefined, options),
    peers: (options) => call('GET', '/v1/peers', undefined, options),
    sybil: { report: (options) => call('GET', '/v1/sybil', undefined, options) },
    ping: async (target, options) => (await call<{ rttMs: number }>('POST', '/v1/ping', { target }, options)).rttMs,
    stop: async (options) => {
      await call('POST', '/v1/stop', {}, options)
    },
    jobs: {
      submit: (wanted: JobRequest, options) => call('POST', '/v1/jobs', wanted, options),
      list: () => call('GET', '/v1/jobs'),
      show: (id, options) => known(call<JobView>('GET', job(id), undefined, options)),
      cancel: (id) => call('POST', job(id, '/cancel'), {}),
      watch: (id, { signal } = {}) => lines<JobView>(socketPath, job(id, '/watch'), { signal }),
      async spec(id, options) {
        const body = await known(call<SpecBody>('GET', job(id, '/spec'), undefined, options))
        return body && (decode(Buffer.from(body.spec, 'base64')) as JobSpec)
      },
      isOwn: async (id, options) => (await call<{ own: boolean }>('GET', job(id, '/own'), undefined, options)).own,
      retry: (id, { asOwn, signal } = {}) => call('POST', job(id, '/retry'), { ...(asOwn && { asOwn }) }, { signal }),
      logs(id, { task, follow, signal } = {}) {
        const query = new URLSearchParams({
          ...(follow && { follow: '1' }),
          ...(task !== undefined && { task: `${task}` }),
        })
        return lines<JobLogLine>(socketPath, `${job(id, '/logs')}?${query}`, { signal })
      },
      place: (plan, options) => call('POST', '/v1/placements', plan, options),
    },
  }
}

/** Undefined when nobody knows it. */
async function known<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof ChoraleError && error.code === 'not-found') return undefined
    throw error
  }
}
