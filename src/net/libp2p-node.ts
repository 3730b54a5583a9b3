/**
 * The libp2p node under the adapter: TCP, Noise, Yamux, identify and ping, with everything off that we do not use.
 * Limits of libp2p's own are set above ours, so that ours decide.
 */
import { networkInterfaces } from 'node:os'
import { noise } from '@chainsafe/libp2p-noise'
import { type YamuxMuxerInit, yamux } from '@chainsafe/libp2p-yamux'
import { type Identify, identify } from '@libp2p/identify'
import type {
  ComponentLogger,
  Connection,
  ConnectionEncrypter,
  Libp2p,
  Logger,
  MessageStream,
  StreamMuxerFactory,
} from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import {
  MAX_DIALS,
  MAX_INBOUND_PER_IP_PER_SECOND,
  MAX_READ_BUFFER_BYTES,
  MAX_STREAMS_PER_CONNECTION,
} from '../core/limits.ts'
import type { Endpoint } from './endpoint.ts'
import type { HostKey } from './host-key.ts'
import { type IpClass, ipClass, isWildcardIp } from './ip.ts'
import { gatherWrites, readLengthsCheaply, sendQuietly } from './libp2p-tuning.ts'

export type Libp2pNode = Libp2p<{ identify: Identify; ping: Ping }>

/** Whoever comes in has so long for the handshake. */
const UPGRADE_TIMEOUT_MS = 5000

/** A node that listens. Throws `io` or `config` when it cannot. */
export async function startLibp2p(
  key: HostKey,
  listen: Endpoint,
  maxConnections: number,
): Promise<{ node: Libp2pNode; port: number }> {
  const node = await createLibp2p({
    start: false,
    privateKey: key.privateKey,
    logger: quietLogger,
    addresses: { listen: [multiaddrOf(listen).toString()] },
    transports: [tcp({ dialOpts: sourceAddress(listen.ip) })],
    connectionProtector: () => ({
      protect: async (connection) => {
        gatherWrites(connection)
        return connection
      },
    }),
    connectionEncrypters: [(components) => tunedNoise(noise()(components))],
    streamMuxers: [
      quietYamux({
        maxInboundStreams: MAX_STREAMS_PER_CONNECTION,
        maxOutboundStreams: MAX_STREAMS_PER_CONNECTION,
        // The window is what a peer may send before we read: it must not grow past what we are ready to buffer.
        streamOptions: {
          initialStreamWindowSize: MAX_READ_BUFFER_BYTES,
          maxStreamWindowSize: MAX_READ_BUFFER_BYTES,
          maxReadBufferLength: MAX_READ_BUFFER_BYTES,
        },
      }),
    ],
    connectionManager: {
      // Half as many again for dial-backs and what is on its way; the adapter keeps to the number itself.
      maxConnections: maxConnections + Math.ceil(maxConnections / 2),
      maxParallelDials: MAX_DIALS,
      maxDialQueueLength: MAX_DIALS,
      inboundConnectionThreshold: MAX_INBOUND_PER_IP_PER_SECOND,
      maxIncomingPendingConnections: MAX_DIALS,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: UPGRADE_TIMEOUT_MS,
      reconnectRetries: 0,
    },
    connectionMonitor: { enabled: false },
    // Others may identify us; we learn what we need from the hello.
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping() },
  })
  try {
    await node.start()
  } catch (error) {
    throw listenError(listen, error)
  }
  const bound = node.getMultiaddrs()[0]
  return { node, port: bound ? endpointOf(bound).port : listen.port }
}

export function multiaddrOf({ ip, port }: Endpoint, peer?: string): Multiaddr {
  const place = `/ip${ip.includes(':') ? 6 : 4}/${ip}/tcp/${port}`
  return multiaddr(peer === undefined ? place : `${place}/p2p/${peer}`)
}

export function endpointOf(address: Multiaddr): Endpoint {
  const components = address.getComponents()
  const value = (...names: string[]) => components.find(({ name }) => names.includes(name))?.value ?? ''
  return { ip: value('ip4', 'ip6'), port: Number(value('tcp')) }
}

export function isPeerId(text: string): boolean {
  try {
    return peerIdFromString(text).type === 'Ed25519'
  } catch {
    return false
  }
}

/** What is at the other end of a connection that does not know our protocol: the end of a sentence. */
export async function describeStranger(
  node: Libp2pNode,
  connection: Connection,
  protocol: string,
  signal: AbortSignal,
): Promise<string> {
  const pattern = /^\/chorale\/([^/]+)\/rpc\/([^/]+)$/
  const [, network, version] = pattern.exec(protocol) ?? []
  const protocols = await node.services.identify.identify(connection, { signal }).then(
    (identified) => identified.protocols,
    () => [],
  )
  const theirs = protocols.map((name) => pattern.exec(name)).find((match) => match)
  if (!theirs) return 'does not speak Chorale'
  if (theirs[1] === network) return `speaks version ${theirs[2]} of the protocol, this node ${version}`
  const ids = `overlay id ${theirs[1]}, here ${network}`
  return `is of another network (${ids}): --network, --space, --successors, --replicas and --placement must be as chorale network show says there`
}

function tunedNoise(noise: ConnectionEncrypter): ConnectionEncrypter {
  const { secureInbound, secureOutbound } = noise
  const tuned =
    (secure: ConnectionEncrypter['secureInbound']): ConnectionEncrypter['secureInbound'] =>
    async (connection, options) => {
      const secured = await secure.call(noise, connection, options)
      readLengthsCheaply(secured.connection)
      return secured
    }
  return Object.assign(noise, { secureInbound: tuned(secureInbound), secureOutbound: tuned(secureOutbound) })
}

function quietYamux(settings: YamuxMuxerInit): () => StreamMuxerFactory {
  return () => {
    const factory = yamux(settings)()
    const create = factory.createStreamMuxer
    return Object.assign(factory, {
      createStreamMuxer: (line: MessageStream) => sendQuietly(create.call(factory, line)),
    })
  }
}

/** Dials leave from the address that we listen on, so that a peer sees us where we say we are. */
function sourceAddress(ip: string): object {
  return isWildcardIp(ip) ? {} : { localAddress: ip }
}

function listenError({ ip, port }: Endpoint, error: unknown): ChoraleError {
  const text = /Error: (.*)/.exec(errorMessage(error))?.[1] ?? errorMessage(error)
  const place = `${ip}:${port}`
  if (text.includes('EADDRINUSE')) {
    const remedy = `choose another port with --listen ${ip}:PORT, or stop the program that has it`
    return new ChoraleError('io', `port in use: ${place}; ${remedy}`, { cause: error })
  }
  if (text.includes('EACCES')) {
    const remedy = `choose a port above 1023 with --listen ${ip}:PORT`
    return new ChoraleError('io', `not allowed to listen on ${place}; ${remedy}`, { cause: error })
  }
  if (text.includes('EADDRNOTAVAIL')) {
    const remedy = 'give --listen an address of this machine, or 0.0.0.0'
    return new ChoraleError('config', `this machine has no address ${ip}; ${remedy}`, { cause: error })
  }
  return new ChoraleError('io', `cannot listen on ${place}: ${text}`, { cause: error })
}

const nothing = () => {}
/** libp2p writes a line per frame and formats it first; we count and log what matters ourselves. */
const quietLog: Logger = Object.assign(nothing, {
  enabled: false,
  error: nothing,
  trace: nothing,
  newScope: () => quietLog,
})
const quietLogger: ComponentLogger = { forComponent: () => quietLog }

/** For a founder that listens everywhere: the widest reach that this machine has. */
export function interfaceIp(): string {
  const reach: readonly IpClass[] = ['public', 'private', 'loopback']
  const ips = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ family, address }) => family === 'IPv4' && !address.startsWith('169.254.'))
    .map(({ address }) => address)
  return reach.flatMap((wanted) => ips.filter((ip) => ipClass(ip) === wanted))[0] ?? '127.0.0.1'
}
