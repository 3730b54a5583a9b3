/**
 * Calls over the control socket, as its clients make them: one connection each, answers as JSON, lines of it or bytes.
 * What goes wrong is a ChoraleError, with the code that the node gave or that fits the broken connection.
 */
import { type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { ChoraleError, ERROR_CODES, type ErrorCode, errorMessage } from '../core/errors.ts'
import { type AddProgress, ERROR_TRAILER, type ErrorBody } from './routes.ts'

export interface CallOptions {
  signal?: AbortSignal | undefined
}

export interface UploadOptions extends CallOptions {
  onProgress?: ((progress: AddProgress) => void) | undefined
}

type Method = 'GET' | 'POST' | 'DELETE'

interface Sent extends CallOptions {
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: OutgoingHttpHeaders
}

export type Caller = <T>(method: Method, path: string, body?: unknown, options?: CallOptions) => Promise<T>

export function caller(socketPath: string): Caller {
  return async <T>(method: Method, path: string, body?: unknown, options?: CallOptions): Promise<T> => {
    const response = await send(socketPath, method, path, { body, signal: options?.signal })
    const text = await readAll(response, options?.signal)
    return parseReply<T>(text, response.statusCode ?? 0)
  }
}

export function send(socketPath: string, method: Method, path: string, sent: Sent): Promise<IncomingMessage> {
  const text = sent.body === undefined ? undefined : JSON.stringify(sent.body)
  const type = text === undefined ? {} : { 'content-type': 'application/json' }
  const call = open(socketPath, method, path, { ...type, ...sent.headers }, sent.signal)
  call.outgoing.end(text)
  return call.answered
}

function open(
  socketPath: string,
  method: Method,
  path: string,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal | undefined,
): { outgoing: ClientRequest; answered: Promise<IncomingMessage> } {
  // A connection of its own for every call: a command makes one or two, and none may keep the process alive.
  const outgoing = request({ socketPath, method, path, headers, agent: false, ...(signal ? { signal } : {}) })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.on('error', (error) => reject(connectionError(socketPath, error, signal)))
  })
  return { outgoing, answered }
}

/** The bytes of an answer. Rejects when they are not all there. */
export async function* download(socketPath: string, path: string, options: CallOptions): AsyncGenerator<Uint8Array> {
  const { signal } = options
  const response = await send(socketPath, 'GET', path, { signal, headers: { te: 'trailers' } })
  if (response.statusCode !== 200) parseReply(await readAll(response, signal), response.statusCode ?? 0)
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) yield chunk
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : wentAway(error)
  } finally {
    response.destroy()
  }
  const failure = response.trailers[ERROR_TRAILER]
  if (failure !== undefined) parseReply(decodeURIComponent(failure), 200)
}

/** Lines of JSON. */
export async function* lines<T>(socketPath: string, path: string, options: CallOptions): AsyncGenerator<T> {
  const { signal } = options
  const response = await send(socketPath, 'GET', path, { signal })
  if (response.statusCode !== 200) parseReply(await readAll(response, signal), response.statusCode ?? 0)
  for await (const line of readLines(response, signal)) yield parseReply<T>(line, 200)
}

/**
 * Sends bytes and waits for the last line of the answer. When the node refuses them in the middle, the source is given
 * up; when the source fails, the node hears of no end, and forgets it all.
 */
export async function upload<T>(
  socketPath: string,
  path: string,
  source: AsyncIterable<Uint8Array>,
  { signal, onProgress }: UploadOptions,
): Promise<T> {
  // Kept alive, or the node could not tell us why it refuses: its end would be closed while we still write.
  const headers = { 'content-type': 'application/octet-stream', connection: 'keep-alive' }
  const { outgoing, answered } = open(socketPath, 'POST', path, headers, signal)
  const reply = async (): Promise<T> => {
    const response = await answered
    if (response.statusCode !== 200) parseReply(await readAll(response, signal), response.statusCode ?? 0)
    for await (const line of readLines(response, signal)) {
      const value = parseReply<T | { readonly progress: AddProgress }>(line, 200)
      if (typeof value !== 'object' || value === null || !('progress' in value)) return value as T
      onProgress?.(value.progress)
    }
    throw wentAway(undefined)
  }
  const replied = reply()
  const sent = sendAll(outgoing, source)
  for (const each of [replied, sent]) each.catch(() => {}) // one of them is awaited
  try {
    return await Promise.race([replied, sent.then(() => replied)])
  } finally {
    outgoing.destroy()
  }
}

async function sendAll(outgoing: ClientRequest, source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of source) {
    if (outgoing.destroyed) return
    if (bytes.length > 0 && !outgoing.write(bytes)) await drained(outgoing)
  }
  outgoing.end()
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      outgoing.off('drain', go).off('close', go)
      resolve()
    }
    if (outgoing.destroyed) resolve()
    else outgoing.on('drain', go).on('close', go)
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
  return new ChoraleError(
    'no-node',
    'the node went away before it answered: see chorale status; jobs go on when it is up again',
    { cause },
  )
}

function abortedError(signal: AbortSignal): ChoraleError {
  return signal.reason instanceof ChoraleError ? signal.reason : new ChoraleError('aborted', 'given up')
}

export async function readAll(response: IncomingMessage, signal: AbortSignal | undefined): Promise<string> {
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
export async function* readLines(response: IncomingMessage, signal: AbortSignal | undefined): AsyncIterable<string> {
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

export function parseReply<T>(text: string, status: number): T {
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
