/** Counters of a host's end of the network, by name: everything bad that came in, and every limit that was met. */

const NAMES = [
  'requestsIn',
  'requestsOut',
  'framesIn',
  'bytesIn',
  'bytesOut',
  'malformedFrames', // not dag-cbor, or not an envelope
  'oversizeFrames',
  'earlyFrames', // before the hello
  'schemaErrors', // a body against its schema
  'unknownKinds',
  'wrongLanes', // a bulk message among the small ones, or the other way round
  'wrongIncarnations', // requests for an earlier life of this host
  'strayReplies', // to a request that has timed out, or that was never asked
  'wrongNetworks',
  'handlerFaults', // a handler of ours threw what it should not
  'busyHandling', // refused: too many of the peer's requests in work, or too much of our time
  'busyRequests', // refused: too many requests of ours in flight
  'throttledReads', // a peer sent faster than its token bucket; its stream was paused
  'droppedWriters', // a peer stopped reading; its connection, or bulk stream, was closed
  'silentPeers', // a connection or bulk stream closed after time-outs in a row
  'helloTimeouts', // a connection that never spoke our protocol
  'extraStreams', // refused: a bulk stream too many, or one before that of small messages
  'extraConnections', // refused: too many from one peer, or no room
  'evictedConnections', // idle ones closed to make room
  'failedDials',
  'dialBacks',
  'failedDialBacks', // a peer is not where it claims to be
  'mixedClasses', // a peer claims an address of another class than ours
] as const

export type CounterName = (typeof NAMES)[number]
export type Counters = Record<CounterName, number>

export function newCounters(): Counters {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Counters
}
