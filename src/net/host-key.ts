/** A host's identity: its Ed25519 libp2p key (DESIGN 4), as bytes for whoever keeps the home directory. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { type Key, keyFromBytes } from '../core/ids.ts'

export interface HostKey {
  readonly privateKey: Ed25519PrivateKey
  /** libp2p peer id, base58. */
  readonly peer: string
}

export async function generateHostKey(): Promise<HostKey> {
  return hostKey(await generateKeyPair('Ed25519'))
}

/** libp2p's own protobuf form, so that other tools can read it. Secret. */
export function encodeHostKey(key: HostKey): Uint8Array {
  return privateKeyToProtobuf(key.privateKey)
}

/** Throws `config` on anything but an Ed25519 key. */
export function decodeHostKey(bytes: Uint8Array): HostKey {
  try {
    const privateKey = privateKeyFromProtobuf(bytes)
    if (privateKey.type === 'Ed25519') return hostKey(privateKey)
  } catch (error) {
    throw new ChoraleError('config', `the host key cannot be read: ${errorMessage(error)}`, { cause: error })
  }
  throw new ChoraleError('config', 'the host key is not an Ed25519 key')
}

/** The 32 bytes of its public key as 64 hex digits: what the ledger calls the host. */
export function publicKeyOfHost({ privateKey }: HostKey): Key {
  return keyFromBytes(privateKey.publicKey.raw)
}

/** The same from a peer id; undefined for whatever is no Ed25519 peer id. Never throws. */
export function publicKeyOfPeer(peer: string): Key | undefined {
  try {
    const id = peerIdFromString(peer)
    return id.type === 'Ed25519' ? keyFromBytes(id.publicKey.raw) : undefined
  } catch {
    return undefined
  }
}

/** The peer id of the host with this public key. */
export function peerOfPublicKey(key: Key): string {
  return peerIdFromPublicKey(publicKeyFromRaw(Buffer.from(key, 'hex'))).toString()
}

function hostKey(privateKey: Ed25519PrivateKey): HostKey {
  return { privateKey, peer: peerIdFromPrivateKey(privateKey).toString() }
}

/** Signs synchronously, as protocol code must (DESIGN 3); libp2p's own keys may answer later. */
export function signerOf({ privateKey }: HostKey): (bytes: Uint8Array) => Uint8Array {
  const d = Buffer.from(privateKey.raw.subarray(0, 32)).toString('base64url')
  const key = createPrivateKey({ key: { ...jwk(privateKey.publicKey.raw), d }, format: 'jwk' })
  return (bytes) => new Uint8Array(sign(null, bytes, key))
}

/** Has the holder of this peer id signed these bytes? False for whatever is no Ed25519 peer id. Never throws. */
export function verifySignature(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, bytes, publicKeyOf(peer), signature)
  } catch {
    return false
  }
}

function publicKeyOf(peer: string): KeyObject {
  const id = peerIdFromString(peer)
  if (id.type !== 'Ed25519') throw new ChoraleError('bad-message', 'not an Ed25519 peer id')
  return createPublicKey({ key: jwk(id.publicKey.raw), format: 'jwk' })
}

function jwk(publicKey: Uint8Array) {
  return { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }
}
