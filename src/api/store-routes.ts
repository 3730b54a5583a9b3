/** The routes of files, pins and blocks (routes.ts), at the node's end. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Type } from 'typebox'
import { type Checker, checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Host, SignedRecord } from '../node.ts'
import { decodeTree, encodeTree, type TreeItem } from './frames.ts'
import { parse } from './parse.ts'
import type { AddedView, BlockView, EntryView, ImportedView, LeafView, RecordBody, RecordView } from './routes.ts'
import { readJson, receive, sendBytes, sendJson, sendLines } from './streams.ts'

const BASE64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
const recordBody: Checker<RecordBody> = checker(
  Type.Object(
    { name: Type.String(), value: Type.String({ pattern: BASE64 }), expiresAfterMs: Type.Number() },
    { additionalProperties: false },
  ),
)

type StoreHost = Pick<Host, 'files' | 'blocks' | 'records' | 'pins' | 'status' | 'storeStat'>

export interface StoreCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** `METHOD noun`, and whether a ref follows. */
  readonly route: string
  readonly ref: string
  readonly query: URLSearchParams
  readonly signal: AbortSignal
}

/** False: there is no such route. */
export async function answerStore(host: StoreHost, call: StoreCall): Promise<boolean> {
  const { request, response, ref, query, signal } = call
  const { files, blocks, pins } = host
  switch (call.route) {
    case 'POST files':
    case 'POST trees':
    case 'POST cars':
      await add(host, call)
      return true
    case 'GET files/REF': {
      const range = { offset: bytesOf(query, 'offset'), length: bytesOf(query, 'length') }
      await sendBytes(request, response, files.cat(ref, { ...range, signal }))
      return true
    }
    case 'GET trees/REF':
      await sendBytes(request, response, encodeTree(tree(host, ref, signal)))
      return true
    case 'GET leaves/REF':
      await sendLines(response, leaves(host, ref, signal))
      return true
    case 'GET cars/REF':
      await sendBytes(request, response, files.exportCar(ref, { signal }))
      return true
    case 'GET lists/REF':
      await sendLines(response, entries(host, ref, signal))
      return true
    case 'GET pins':
      sendJson(response, 200, pins.list())
      return true
    case 'POST pins/REF':
      sendJson(response, 200, await pins.add(await files.resolve(ref, { signal }), { signal }))
      return true
    case 'DELETE pins/REF':
      sendJson(response, 200, { unpinned: pins.remove(await files.resolve(ref, { signal })) })
      return true
    case 'GET blocks/REF': {
      const { cid, sizeBytes, holders, wanted } = await blocks.stat(await files.resolve(ref, { signal }), { signal })
      if (sizeBytes === undefined) throw new ChoraleError('not-found', `nobody who answers has the block ${cid}`)
      const copies = holders.filter(({ holds }) => holds).length
      const view: BlockView = { cid: cid.toString(), bytes: sizeBytes, copies, wanted, holders }
      sendJson(response, 200, view)
      return true
    }
    case 'POST records': {
      const { name, value, expiresAfterMs } = parse(recordBody, await readJson(request))
      const record = await host.records.publish(name, Buffer.from(value, 'base64'), { expiresAfterMs, signal })
      sendJson(response, 200, recordView(host.status().peer, record))
      return true
    }
    case 'GET records': {
      const { peer = '', name = '' } = Object.fromEntries(query)
      const record = await host.records.resolve(peer, name, { signal })
      if (!record)
        throw new ChoraleError('not-found', `${peer} has no record ${JSON.stringify(name)} that is valid now`)
      sendJson(response, 200, recordView(peer, record))
      return true
    }
    case 'GET store':
      sendJson(response, 200, host.storeStat())
      return true
    default:
      return false
  }
}

function recordView(peer: string, { name, value, seq, expiresAtMs }: SignedRecord): RecordView {
  return { peer, name, value: Buffer.from(value).toString('base64'), seq, expiresAtMs }
}

async function add({ files, pins }: StoreHost, call: StoreCall): Promise<void> {
  const { request, response, route, signal } = call
  const options = { lines: flag(call.query, 'lines', false), signal }
  const pin = flag(call.query, 'pin', true)
  if (pin) pins.requireRoom() // else all that was sent would be for nothing
  await receive<AddedView | ImportedView>(request, response, async (bytes, onProgress) => {
    if (route === 'POST cars') {
      const { roots, ...counts } = await files.importCar(bytes, { signal })
      for (const root of pin ? roots : []) await pins.add(root, { fresh: true })
      return { roots: roots.map(String), ...counts }
    }
    const { cid, ...counts } = await (route === 'POST files'
      ? files.addFile(bytes, { ...options, onProgress })
      : files.addTree(sources(bytes), { ...options, onProgress }))
    if (pin) await pins.add(cid, { fresh: true })
    return { cid: cid.toString(), ...counts }
  })
}

async function* sources(bytes: AsyncIterable<Uint8Array>) {
  for await (const { path, content } of decodeTree(bytes)) {
    if (path !== '') yield { path, content } // the root is there anyway
  }
}

async function* tree({ files }: StoreHost, ref: string, signal: AbortSignal): AsyncGenerator<TreeItem> {
  for await (const entry of files.walk(ref, { signal })) {
    if (entry.type === 'directory') yield { path: entry.path, kind: 'directory' }
    else yield { path: entry.path, kind: 'file', bytes: entry.bytes, content: entry.content() }
  }
}

async function* entries({ files }: StoreHost, ref: string, signal: AbortSignal): AsyncGenerator<EntryView> {
  for await (const { name, cid, type, bytes } of files.ls(ref, { signal })) {
    yield { name, cid: cid.toString(), kind: type, bytes }
  }
}

function bytesOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new ChoraleError('usage', `${name} must be a number of bytes, not ${JSON.stringify(text)}`)
}

function flag(query: URLSearchParams, name: string, otherwise: boolean): boolean {
  const text = query.get(name)
  if (text === null) return otherwise
  if (text === '0' || text === '1') return text === '1'
  throw new ChoraleError('usage', `${name} must be 0 or 1, not ${JSON.stringify(text)}`)
}

async function* leaves({ files }: StoreHost, ref: string, signal: AbortSignal): AsyncGenerator<LeafView> {
  for await (const leaf of files.leavesOf(ref, { signal })) yield { cid: leaf.cid.toString(), bytes: leaf.bytes }
}
