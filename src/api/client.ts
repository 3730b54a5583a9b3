/**
 * The other end of the control API (routes.ts): a running host as an object. Jobs look the same from here as on the
 * host itself; what is a plain value there is a promise here.
 *
 * It trusts the shape of what its own user's host answers, so that a command needs no schemas and starts fast.
 */
import { type IncomingMessage, request } from 'node:http'
import { ChoraleError, ERROR_CODES, type ErrorCode, errorMessage } from '../core/errors.ts'
import type { JobRequest, Jobs, JobView } from '../mapreduce/types.ts'
import type { HostStatus, PeerView } from '../node.ts'
import type { ErrorBody } from './routes.ts'

export interface RemoteHost {
  readonly jobs: Jobs
  status(options?: CallOptions): Promise<HostStatus>
  peers(options?: CallOptions): Promise<PeerView[]>
  ping(target: string, options?: CallOptions): Promise<number>
  /** The host leaves after it has answered. */
  stop(options?: CallOptions): Promise<void>
}

export interface CallOptions {
  signal?: AbortSignal | undefined
}

/** No message is sent until the first call, which rejects with `no-node` when nobody listens. */
export function connectHost(socketPath: string): RemoteHost {
  const call = async <T>(method: 'GET' | 'POST', path: string, body?: unknown, options?: CallOptions): Promise<T> => {
    const response = await send(socketPath, method, path, body, options?.signal)
    const text = await readAll(response, options?.signal)
    return parseReply<T>(text, response.statusCode ?? 0)
  }
  const job = (id: string, verb = '') => `/v1/jobs/${encodeURIComponent(id)}${verb}`
  return {
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
        const response = await send(socketPath, 'GET', job(id, '/watch'), undefined, options?.signal)
        if (response.statusCode !== 200) {
          parseReply(await readAll(response, options?.signal), response.statusCode ?? 0)
        }
        for await (const line of readLines(response, options?.signal)) yield parseReply<JobView>(line, 200)
      },
    },
  }
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = text === undefined ? {} : { 'content-type': 'application/json' }
    // A connection of its own for every call: a command makes one or two, and none may keep the process alive.
    const outgoing = request({ socketPath, method, path, headers, agent: false, ...(signal ? { signal } : {}) })
    outgoing.once('response', resolve)
    outgoing.once('error', (error) => reject(connectionError(socketPath, error, signal)))
    outgoing.end(text)
  })
}

function connectionError(socketPath: string, error: Error, signal: AbortSignal | undefined): ChoraleError {
  if (signal?.aborted) return abortedError(signal)
  const code = 'code' in error ? String(error.code) : ''
  const options = { cause: error }
  if (code === 'EACCES' || code === 'EPERM') {
    return new ChoraleError('auth', `the node at ${socketPath} belongs to another user`, options)
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') {
    return new ChoraleError('no-node', `no node is running at ${socketPath}: start one with chorale up -d`, options)
  }
  return wentAway(error)
}

function wentAway(cause: unknown): ChoraleError {
  return new ChoraleError('no-node', 'the node went away before it answered: see chorale status', { cause })
}

function abortedError(signal: AbortSignal): ChoraleError {
  return signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up')
}

async function readAll(response: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response) text += chunk
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : wentAway(error)
  }
  return text
}

/** A stream that ends in the middle of a line, or without its end, is a node that died. */
async function* readLines(response: IncomingMessage, signal: AbortSignal | undefined): AsyncIterable<string> {
  let rest = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : wentAway(error)
  } finally {
    response.destroy() // leaving the loop ends the watch at the node too
  }
  if (rest) throw wentAway(undefined)
}

function parseReply<T>(text: string, status: number): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ChoraleError('internal', `the node's answer is not JSON: ${errorMessage(error)}`, { cause: error })
  }
  const failure = (value as Partial<ErrorBody> | null)?.error
  if (failure || status >= 400) {
    const code = ERROR_CODES.find((known) => known === failure?.code) ?? ('internal' satisfies ErrorCode)
    throw new ChoraleError(code, failure?.message ?? `the node answered with status ${status}`)
  }
  return value as T
}
