/**
 * A tree of files in one stream of bytes: lines of JSON, and after `{"data":N}` N bytes of the file that was named last.
 *
 *   {"path":"docs","kind":"directory"}
 *   {"path":"docs/a.txt","kind":"file","bytes":5}      bytes: what is expected, for progress alone
 *   {"data":5}
 *   hello
 *
 * The end of a file is the next entry, or the end of the stream: whether that end was reached is for HTTP to say.
 */
import { ChoraleError } from '../core/errors.ts'

/** A path, some 64 names of 255 bytes, each of which JSON may write as six. */
const MAX_LINE_BYTES = 128 * 1024
const MAX_DATA_BYTES = 16 * 1024 * 1024
const NEWLINE = 0x0a

export interface TreeHead {
  /** Names with `/` between them; '' is the root itself. */
  readonly path: string
  readonly kind: 'file' | 'directory'
  readonly bytes?: number | undefined
}

export interface TreeItem extends TreeHead {
  /** Of a file; must be read to its end before the next item is asked for. */
  readonly content?: AsyncIterable<Uint8Array> | undefined
}

export async function* encodeTree(items: AsyncIterable<TreeItem>): AsyncGenerator<Uint8Array> {
  for await (const { path, kind, bytes, content } of items) {
    yield line({ path, kind, bytes })
    for await (const piece of content ?? []) {
      if (piece.length === 0) continue
      yield line({ data: piece.length })
      yield piece
    }
  }
}

function line(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}

/** What is not read of a file is skipped. Throws `usage` at what is no such stream, or one that is cut. */
export async function* decodeTree(source: AsyncIterable<Uint8Array>): AsyncGenerator<TreeItem> {
  const reader = new Reader(source)
  let current: TreeHead | undefined
  let next: TreeHead | undefined
  let ended = false
  /** The next piece of the current file; undefined at its end, when `next` or `ended` is known. */
  const piece = async (): Promise<Uint8Array | undefined> => {
    while (!next && !ended) {
      if (reader.left > 0) return await reader.piece()
      const line = await reader.line()
      if (!line) ended = true
      else if (!('data' in line)) next = line
      else if (current?.kind === 'file') reader.left = line.data
      else throw malformed('data that is of no file')
    }
    return undefined
  }
  const contentOf = async function* (head: TreeHead) {
    for (;;) {
      const bytes = current === head ? await piece() : undefined
      if (!bytes) return
      yield bytes
    }
  }
  try {
    for (;;) {
      while (await piece()) {
        // Nobody wanted it.
      }
      if (!next) return
      current = next
      next = undefined
      yield current.kind === 'file' ? { ...current, content: contentOf(current) } : current
    }
  } finally {
    await reader.close()
  }
}

interface Data {
  readonly data: number
}

class Reader {
  /** Of the data that is being read. */
  left = 0
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At most what is left; never empty. */
  async piece(): Promise<Uint8Array> {
    if (!(await this.#fill())) throw malformed('it ends within a file')
    const bytes = this.#rest.subarray(0, this.left)
    this.#rest = this.#rest.subarray(bytes.length)
    this.left -= bytes.length
    return bytes
  }

  /** Undefined at the end. */
  async line(): Promise<TreeHead | Data | undefined> {
    const parts: Uint8Array[] = []
    let length = 0
    while (await this.#fill()) {
      const at = this.#rest.indexOf(NEWLINE)
      const part = at < 0 ? this.#rest : this.#rest.subarray(0, at)
      this.#rest = this.#rest.subarray(at < 0 ? part.length : at + 1)
      parts.push(part)
      if ((length += part.length) > MAX_LINE_BYTES) throw malformed(`a line of more than ${MAX_LINE_BYTES} bytes`)
      if (at >= 0) return parseLine(Buffer.concat(parts).toString('utf8'))
    }
    if (length > 0) throw malformed('it ends within a line')
    return undefined
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }

  /** False at the end of the source. */
  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#source.next()
      if (done) return false
      this.#rest = value
    }
    return true
  }
}

function parseLine(text: string): TreeHead | Data {
  let value: Partial<TreeHead & Data> | null
  try {
    value = JSON.parse(text)
  } catch {
    throw malformed('a line that is not JSON')
  }
  const { data, path, kind, bytes } = value ?? {}
  if (data !== undefined && Number.isInteger(data) && data > 0 && data <= MAX_DATA_BYTES) return { data }
  if (typeof path === 'string' && (kind === 'directory' || kind === 'file')) {
    return { path, kind, bytes: typeof bytes === 'number' ? bytes : undefined }
  }
  throw malformed('a line that names neither a file nor data')
}

function malformed(what: string): ChoraleError {
  return new ChoraleError('usage', `this is no stream of a tree: ${what}`)
}
