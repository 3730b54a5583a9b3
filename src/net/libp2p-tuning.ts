/**
 * Habits of libp2p 3 undone from outside: three that cost a small message more than the message itself (measured by
 * `bench/rpc.ts`: together they more than halve a request), and one that kills the process. They reach into parts that
 * are not libp2p's public interface; where those look different from what is expected, nothing is changed. The versions
 * are pinned, and end-to-end tests count writes per request and send what kills.
 */
import type { MessageStream, Stream, StreamMuxer } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

interface SocketConnection {
  readonly socket?: { cork?(): void; uncork?(): void; write?(bytes: Uint8Array): boolean }
  sendData?(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
}

/**
 * TCP: every piece of a packet (length, header, body, tag) is a write of its own, and with Nagle's algorithm off a
 * packet of its own. Instead: one write for all that one callback sends.
 */
export function gatherWrites(connection: MessageStream): void {
  const inner = connection as unknown as SocketConnection
  const { socket } = inner
  if (!inner.sendData || !socket?.cork || !socket.uncork || !socket.write) return
  let corked = false
  const uncork = () => {
    corked = false
    socket.uncork?.()
  }
  inner.sendData = (data) => {
    if (!corked) {
      corked = true
      socket.cork?.()
      queueMicrotask(uncork)
    }
    const bytes = data.subarray()
    return { sentBytes: bytes.byteLength, canSendMore: socket.write?.(bytes) ?? true }
  }
}

interface DecodingConnection {
  readonly decoder?: { lengthDecoder?: (data: Uint8ArrayList) => number }
}

/** Longer than anything that is there: the decoder waits for more. */
const NOT_YET = 0xffff

/**
 * Noise: the end of every packet is found by an exception, stack trace and all. Instead: by a length that waits.
 */
export function readLengthsCheaply(connection: MessageStream): void {
  const { decoder } = connection as unknown as DecodingConnection
  if (typeof decoder?.lengthDecoder !== 'function') return
  decoder.lengthDecoder = (data) => (data.byteLength < 2 ? NOT_YET : data.getUint16(0))
}

interface WindowedStream {
  sendWindowUpdate?(): void
  readonly recvWindowCapacity?: number
  readonly recvWindow?: number
}

/** Yamux: every packet is answered by one that opens the window again. Instead: when half of the window is used up. */
export function updateWindowLazily(stream: Stream): void {
  const inner = stream as unknown as WindowedStream
  const update = inner.sendWindowUpdate
  if (!update || inner.recvWindow === undefined || inner.recvWindowCapacity === undefined) return
  inner.sendWindowUpdate = () => {
    const { recvWindow = 0, recvWindowCapacity = 0 } = inner
    if (recvWindowCapacity <= recvWindow / 2) update.call(inner)
  }
}

interface WideStream extends WindowedStream {
  maxStreamWindowSize?: number
  maxReadBufferLength?: number
}

/** Yamux has one size of window for all streams; this one gets its own, and the peer is told at once. */
export function widenWindow(stream: Stream, bytes: number): void {
  const inner = stream as unknown as { -readonly [K in keyof WideStream]: WideStream[K] }
  if (!inner.sendWindowUpdate || inner.recvWindow === undefined || inner.maxStreamWindowSize === undefined) return
  inner.maxStreamWindowSize = bytes
  inner.maxReadBufferLength = bytes
  inner.recvWindow = bytes
  inner.sendWindowUpdate()
}

interface Sender {
  send?(data: Uint8ArrayList): boolean
}

/**
 * Yamux: says goodbye on lines that are dead already, and what that throws comes out where nobody can catch it: a peer
 * that breaks the protocol and hangs up would end our process. Instead: what cannot be sent is not sent; the close
 * follows by itself.
 */
export function sendQuietly<Muxer extends StreamMuxer>(muxer: Muxer): Muxer {
  const inner = muxer as unknown as Sender
  const { send } = inner
  if (send) {
    inner.send = (data) => {
      try {
        return send.call(inner, data)
      } catch {
        return false
      }
    }
  }
  return muxer
}
