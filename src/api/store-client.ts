/** Files, pins and blocks of a running host, from the other end of the control API (routes.ts). Everything streams. */
import { ChoraleError } from '../core/errors.ts'
import type { Pin, StoreView } from '../node.ts'
import { type CallOptions, caller, download, lines, type UploadOptions, upload } from './calls.ts'
import { decodeTree, encodeTree, type TreeItem } from './frames.ts'
import type { AddedView, BlockView, EntryView, ImportedView, LeafView, RecordView } from './routes.ts'

export interface AddOptions extends UploadOptions {
  /** Blocks end at line ends. */
  readonly lines?: boolean | undefined
  /** Default true. */
  readonly pin?: boolean | undefined
}

export interface RangeOptions extends CallOptions {
  readonly offset?: number | undefined
  readonly length?: number | undefined
}

/** A `ref` is a CID or CID/path. */
export interface RemoteStore {
  addFile(source: AsyncIterable<Uint8Array>, options?: AddOptions): Promise<AddedView>
  addTree(items: AsyncIterable<TreeItem>, options?: AddOptions): Promise<AddedView>
  importCar(source: AsyncIterable<Uint8Array>, options?: AddOptions): Promise<ImportedView>
  /** Ends early only by an error. */
  cat(ref: string, options?: RangeOptions): AsyncGenerator<Uint8Array>
  exportCar(ref: string, options?: CallOptions): AsyncGenerator<Uint8Array>
  /** A file or tree for writing to disk; the root's path is ''. */
  walk(ref: string, options?: CallOptions): AsyncGenerator<TreeItem>
  /** Of a file. */
  leaves(ref: string, options?: CallOptions): AsyncGenerator<LeafView>
  ls(ref: string, options?: CallOptions): AsyncGenerator<EntryView>
  pins(options?: CallOptions): Promise<Pin[]>
  pin(ref: string, options?: CallOptions): Promise<Pin>
  /** False: it was not pinned. */
  unpin(ref: string, options?: CallOptions): Promise<boolean>
  block(ref: string, options?: CallOptions): Promise<BlockView>
  stat(options?: CallOptions): Promise<StoreView>
  /** Writes the host's record of a name. */
  publish(name: string, value: Uint8Array, expiresAfterMs: number, options?: CallOptions): Promise<RecordView>
  /** The record that a peer has of a name. */
  record(peer: string, name: string, options?: CallOptions): Promise<RecordView>
}

export function remoteStore(socketPath: string): RemoteStore {
  const call = caller(socketPath)
  const add = <T>(noun: string, source: AsyncIterable<Uint8Array>, options: AddOptions): Promise<T> => {
    const query = new URLSearchParams()
    if (options.lines) query.set('lines', '1')
    if (options.pin === false) query.set('pin', '0')
    return upload<T>(socketPath, `/v1/${noun}?${query}`, source, options)
  }
  return {
    addFile: (source, options = {}) => add('files', source, options),
    addTree: (items, options = {}) => add('trees', encodeTree(items), options),
    importCar: (source, options = {}) => add('cars', source, options),
    cat(ref, options = {}) {
      const query = new URLSearchParams()
      for (const name of ['offset', 'length'] as const) {
        if (options[name] !== undefined) query.set(name, `${options[name]}`)
      }
      return download(socketPath, `${at('files', ref)}?${query}`, options)
    },
    exportCar: (ref, options = {}) => download(socketPath, at('cars', ref), options),
    walk: (ref, options = {}) => decodeTree(download(socketPath, at('trees', ref), options)),
    leaves: (ref, options = {}) => lines(socketPath, at('leaves', ref), options),
    ls: (ref, options = {}) => lines(socketPath, at('lists', ref), options),
    pins: (options) => call('GET', '/v1/pins', undefined, options),
    pin: (ref, options) => call('POST', at('pins', ref), undefined, options),
    unpin: async (ref, options) =>
      (await call<{ unpinned: boolean }>('DELETE', at('pins', ref), undefined, options)).unpinned,
    block: (ref, options) => call('GET', at('blocks', ref), undefined, options),
    stat: (options) => call('GET', '/v1/store', undefined, options),
    publish: (name, value, expiresAfterMs, options) =>
      call('POST', '/v1/records', { name, value: Buffer.from(value).toString('base64'), expiresAfterMs }, options),
    record: (peer, name, options) =>
      call('GET', `/v1/records?${new URLSearchParams({ peer, name })}`, undefined, options),
  }
}

/** Throws `usage` at what would lead to another route: a URL's `.` and `..` are not names. */
function at(noun: string, ref: string): string {
  const parts = ref
    .replace(/^(\/ipfs\/|ipfs:\/\/)/, '')
    .split('/')
    .filter(Boolean)
  if (parts.length === 0) throw new ChoraleError('usage', 'an empty name: it should be a CID, or CID/path')
  if (parts.some((part) => part === '.' || part === '..')) {
    throw new ChoraleError('usage', `${JSON.stringify(ref)}: a path in a directory has no . or ..`)
  }
  return `/v1/${noun}/${parts.map(encodeURIComponent).join('/')}`
}
