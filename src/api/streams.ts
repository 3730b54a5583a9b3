/** Streams of the control API, from the node's end: no more is read than the client takes, nor taken than is read. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { type AddProgress, ERROR_TRAILER, type ErrorBody, MAX_BODY_BYTES } from './routes.ts'

const PROGRESS_MS = 100
/** For a small body to come; a stream may take as long as it needs. */
const BODY_PATIENCE_MS = 30_000
/** For a client to notice that it was refused, and to stop sending. */
const REFUSED_PATIENCE_MS = 5_000

export function errorBody(error: unknown): ErrorBody {
  return { error: { code: errorCode(error), message: errorMessage(error) } }
}

export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  const patience = setTimeout(() => request.destroy(), BODY_PATIENCE_MS)
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_BODY_BYTES) throw new ChoraleError('usage', `the request is larger than ${MAX_BODY_BYTES} bytes`)
      chunks.push(chunk)
    }
  } finally {
    clearTimeout(patience)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw new ChoraleError('usage', `the request is not JSON: ${errorMessage(error)}`, { cause: error })
  }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = `${JSON.stringify(value)}\n`
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

export async function sendLines(response: ServerResponse, values: AsyncIterable<unknown>): Promise<void> {
  const iterator = values[Symbol.asyncIterator]()
  try {
    // What fails before the first line is an answer of its own.
    let next = await iterator.next()
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.flushHeaders()
    for (; !next.done; next = await iterator.next()) {
      if (!(await written(response, `${JSON.stringify(next.value)}\n`))) return
    }
    response.end()
  } finally {
    await iterator.return?.()
  }
}

/** Bytes, and nothing but: an error in the middle goes into the trailer, or cuts them off. */
export async function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const iterator = bytes[Symbol.asyncIterator]()
  let begun = false
  const trailers = /(^|[ ,])trailers($|[ ,;])/i.test(String(request.headers.te ?? ''))
  try {
    let next = await iterator.next()
    begun = true
    const trailer = trailers ? { trailer: ERROR_TRAILER } : {}
    response.writeHead(200, { 'content-type': 'application/octet-stream', ...trailer })
    for (; !next.done; next = await iterator.next()) if (!(await written(response, next.value))) return
    response.end()
  } catch (error) {
    if (begun && trailers) {
      response.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify(errorBody(error))) })
      response.end()
    } else if (begun) response.destroy()
    throw error
  } finally {
    await iterator.return?.()
  }
}

/** The bytes of a request go into `work`, whose result is the last line of the answer. */
export async function receive<T>(
  request: IncomingMessage,
  response: ServerResponse,
  work: (bytes: AsyncIterable<Uint8Array>, onProgress: (progress: AddProgress) => void) => Promise<T>,
): Promise<void> {
  let toldAtMs = Date.now()
  const begin = () => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  }
  const onProgress = ({ bytes, blocks }: AddProgress) => {
    if (Date.now() - toldAtMs < PROGRESS_MS || !isOpen(response)) return
    toldAtMs = Date.now()
    begin()
    response.write(`${JSON.stringify({ progress: { bytes, blocks } })}\n`)
  }
  // Kept open when it is given up: the client must be able to hear why.
  const result = await work(request.iterator({ destroyOnReturn: false }), onProgress)
  begin()
  response.end(`${JSON.stringify(result)}\n`)
}

/** May more be written? `writable` says so even after the end. */
export function isOpen(response: ServerResponse): boolean {
  return !response.writableEnded && !response.destroyed
}

/** Lets a client that still sends find out that it was refused. */
export function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  request.resume()
  const patience = setTimeout(() => request.destroy(), REFUSED_PATIENCE_MS)
  request.once('close', () => clearTimeout(patience))
}

/** False: nobody listens any more. */
async function written(response: ServerResponse, chunk: string | Uint8Array): Promise<boolean> {
  if (!isOpen(response)) return false
  if (chunk.length > 0 && !response.write(chunk)) {
    await new Promise<void>((resolve) => {
      const go = () => {
        response.off('drain', go).off('close', go)
        resolve()
      }
      response.on('drain', go).on('close', go)
    })
  }
  return isOpen(response)
}
