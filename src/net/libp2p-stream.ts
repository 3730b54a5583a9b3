/** One of our streams over libp2p: what `rpc-stream.ts` needs below it, what it hears from there, and how it ends. */
import type { Stream } from '@libp2p/interface'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import type { ByteStream } from './outbox.ts'
import type { RpcStream } from './rpc-stream.ts'

/** `abort`: how much goes when the stream does. */
export function bytesOf(stream: Stream, abort: (error: Error) => void): ByteStream {
  return {
    send: (data) => stream.send(data) && !stream.writableNeedsDrain,
    pause: () => stream.readStatus === 'readable' && stream.pause(),
    resume: () => stream.readStatus === 'paused' && stream.resume(),
    abort,
  }
}

/** `onEnd`: the peer has closed the stream, or the connection. May come twice. */
export function listenTo(stream: Stream, rpc: RpcStream, onEnd: () => void): void {
  stream.addEventListener('message', ({ data }) => {
    // A list is not joined first: its parts are as good, and frames are copied only where they are cut.
    if (data instanceof Uint8Array) rpc.receive(data)
    else for (const part of data) rpc.receive(part)
  })
  stream.addEventListener('drain', () => {
    // A drain of the connection, or of a little of the window, may leave the stream as full as it was: libp2p finds out
    // in a microtask that it has put in the queue before ours.
    queueMicrotask(() => {
      if (!stream.writableNeedsDrain) rpc.drained()
    })
  })
  stream.addEventListener('remoteCloseWrite', onEnd)
  stream.addEventListener('close', onEnd)
}

export function unreachable(to: Endpoint, cause: unknown): ChoraleError {
  if (cause instanceof ChoraleError && cause.code !== 'timeout') return cause
  const text = errorMessage(cause).split('\n')[0]
  return new ChoraleError('unreachable', `cannot connect to ${formatEndpoint(to)}: ${text}`, { cause })
}

export function closedByPeer(): ChoraleError {
  return new ChoraleError('unreachable', 'the connection was closed')
}
