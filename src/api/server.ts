/**
 * The node's end of the control API (routes.ts): HTTP over a Unix socket that only its user can open. Every body is
 * capped and checked by its schema before anything is called.
 */
import { chmodSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Type } from 'typebox'
import { checker } from '../core/codec.ts'
import type { Logger } from '../core/env.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import type { Host } from '../node.ts'
import { answerJobs } from './job-routes.ts'
import { answerLedger } from './ledger-routes.ts'
import { answerLend } from './lend-routes.ts'
import { answerMarket } from './market-routes.ts'
import { parse } from './parse.ts'
import { httpStatus, MAX_API_CONNECTIONS } from './routes.ts'
import { answerStore } from './store-routes.ts'
import { drain, errorBody, isOpen, readJson, sendJson } from './streams.ts'

const strict = { additionalProperties: false }
const pingBody = checker(Type.Object({ target: Type.String({ minLength: 1, maxLength: 256 }) }, strict))
export interface ApiServer {
  readonly socketPath: string
  /** Ends streams, lets answers that are on their way out finish, and closes the socket. */
  close(): Promise<void>
}

export interface ApiServerOptions {
  readonly socketPath: string
  readonly log: Logger
  /** Somebody asked the host to leave. */
  readonly onStop: () => void
}

export async function serveApi(host: Host, options: ApiServerOptions): Promise<ApiServer> {
  const { log, socketPath } = options
  const closing = new AbortController()
  // No limit for a whole request: a file may take as long as it needs. Small bodies have one of their own.
  const server = createServer({ requestTimeout: 0, headersTimeout: 10_000 }, (request, response) => {
    void answer(request, response)
  })
  server.maxConnections = MAX_API_CONNECTIONS

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    const left = () => gone.abort(new ChoraleError('aborted', 'the client went away'))
    const stop = () => gone.abort(closing.signal.reason)
    response.once('close', left)
    closing.signal.addEventListener('abort', stop, { once: true })
    try {
      await route(request, response, gone.signal)
    } catch (error) {
      const body = errorBody(error)
      const { code, message } = body.error
      if (code === 'internal' && !response.destroyed) log.warn('request failed', { url: request.url, error: message })
      if (!isOpen(response)) return
      if (response.headersSent) response.end(`${JSON.stringify(body)}\n`)
      else sendJson(response, httpStatus(code), body)
      drain(request)
    } finally {
      closing.signal.removeEventListener('abort', stop)
    }
  }

  async function route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://local')
    const segments = path.split('/').filter(Boolean).map(decodeSegment)
    const [version, noun, id, verb] = segments
    const name = `${request.method} ${[version, noun, id && ':id', verb].filter(Boolean).join('/')}`
    switch (segments.length > 4 ? '' : name) {
      case 'GET v1/status':
        await host.books.ledger.look()
        return sendJson(response, 200, host.status())
      case 'GET v1/peers':
        return sendJson(response, 200, host.peers())
      case 'GET v1/sybil':
        return sendJson(response, 200, await host.sybil.report({ signal }))
      case 'POST v1/ping': {
        const { target } = parse(pingBody, await readJson(request))
        return sendJson(response, 200, { rttMs: await host.ping(target, { signal }) })
      }
      case 'POST v1/stop':
        response.once('finish', options.onStop)
        return sendJson(response, 200, {})
      default: {
        const jobs = `${request.method} ${noun}${id === undefined ? '' : '/ID'}${verb === undefined ? '' : `/${verb}`}`
        const job = { request, response, route: segments.length > 4 ? '' : jobs, id: id ?? '', query, signal }
        if (version === 'v1' && (await answerJobs(host.jobs, job))) return
        const ref = segments.slice(2).join('/')
        const call = { request, response, route: `${request.method} ${noun}${ref && '/REF'}`, ref, query, signal }
        if (version === 'v1' && (await answerStore(host, call))) return
        const { method = '' } = request
        const account = { request, response, method, segments: segments.slice(1), query, signal }
        if (version === 'v1' && (await answerLedger(host.books, account, (of) => host.market?.jobOf(of)))) return
        if (version === 'v1' && (await answerLend(host.lending, account))) return
        if (version === 'v1' && (await answerMarket(host, account))) return
        throw new ChoraleError('not-found', `no such route: ${request.method} ${path}`)
      }
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, resolve)
  }).catch((error: unknown) => {
    throw new ChoraleError('io', `cannot open the control socket ${socketPath}: ${errorMessage(error)}`, {
      cause: error,
    })
  })
  chmodSync(socketPath, 0o600) // the directory is 0700 already

  return {
    socketPath,
    async close() {
      closing.abort(new ChoraleError('no-node', 'the node is leaving'))
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      // Whoever does not read its answer is not waited for.
      const force = setTimeout(() => server.closeAllConnections(), 500)
      await closed
      clearTimeout(force)
    },
  }
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ChoraleError('bad-message', 'malformed URL')
  }
}
