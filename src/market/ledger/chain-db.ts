/**
 * The finalized chain on disk, in SQLite: it has an index that needs no memory, appends a block with all its postings or
 * none, and after a crash lacks nothing but the end. One of the few files that may touch the machine (see the tidy test).
 *
 * A block is not synced when it comes, which would hold up the thread: until the vote log is cut, what was lost can be
 * decided on again (`chain-store.ts`). Runs have a checksum of their own, since SQLite has none: a chain that is rotten
 * somewhere ends there, and the rest is fetched again.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { decode, encode } from '../../core/cbor.ts'
import { ChoraleError, invariant } from '../../core/errors.ts'
import { diskError } from '../../dht/store/disk/fs.ts'
import type { ChainStore, KeptEvidence, Posting, Snapshot, StoredRun } from './chain-store.ts'
import type { Evidence } from './consensus/messages.ts'
import type { PublicKey } from './keys.ts'
import type { Place } from './ledger.ts'

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS runs (last INTEGER PRIMARY KEY, first INTEGER NOT NULL, crc INTEGER NOT NULL, bytes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS postings (
    account TEXT, height INTEGER, place INTEGER, nonce INTEGER, free INTEGER NOT NULL, granted INTEGER NOT NULL,
    PRIMARY KEY (account, height, place)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS asked ON postings (account, nonce) WHERE nonce IS NOT NULL;
  CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, last INTEGER NOT NULL, bytes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS snapshots (height INTEGER, part INTEGER, bytes BLOB NOT NULL, PRIMARY KEY (height, part));
  CREATE TABLE IF NOT EXISTS whole (height INTEGER PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS base (height INTEGER PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS evidence (epoch INTEGER, host TEXT, bytes BLOB NOT NULL, PRIMARY KEY (epoch, host));
`

interface RunRow {
  readonly first: bigint
  readonly last: bigint
  readonly crc: bigint
  readonly bytes: Uint8Array
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html; the low byte, for there are kinds of the first. */
const DAMAGED: readonly unknown[] = [11, 26]

/** Opens or makes it. Throws `io`, or `config` when it is damaged, with what to do about it; so does all that reads it. */
export function openChainDb(file: string): ChainStore {
  try {
    const database = new DatabaseSync(file)
    database.exec(SCHEMA)
    return new ChainDb(database, file)
  } catch (error) {
    throw chainError(error, file)
  }
}

class ChainDb implements ChainStore {
  height: number
  base: number
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync, file: string) {
    this.#database = database
    this.#file = file
    this.base = Number(this.#all<{ height: bigint }>('SELECT height FROM base')[0]?.height ?? 0)
    const last = this.#all<{ last: bigint | null }>('SELECT max(last) AS last FROM runs')[0]!.last
    this.height = Number(last ?? this.base)
  }

  begin(base: number, epochHeaders: readonly Uint8Array[]): void {
    invariant(this.height === 0, `a chain that has ${this.height} blocks cannot begin at ${base}`)
    this.#atOnce(() => {
      this.#run('INSERT INTO base VALUES (?)', base)
      // None of them is ever cut off without the others.
      for (const [epoch, bytes] of epochHeaders.entries()) {
        this.#run('INSERT INTO epochs VALUES (?, ?, ?)', epoch, base, bytes)
      }
    })
    this.height = this.base = base
  }

  append(run: StoredRun, postings: readonly Posting[], epochHeader: Uint8Array | undefined): void {
    const { firstHeight, lastHeight, bytes } = run
    this.#atOnce(() => {
      this.#run('INSERT INTO runs VALUES (?, ?, ?, ?)', lastHeight, firstHeight, crc32(bytes), bytes)
      for (const { account, height, index, nonce, free, granted } of postings) {
        const values = [account, height, index, nonce ?? null, free, granted] as const
        this.#run('INSERT INTO postings VALUES (?, ?, ?, ?, ?, ?)', ...values)
      }
      if (!epochHeader) return
      const epoch = this.#all<{ epochs: bigint }>('SELECT count(*) AS epochs FROM epochs')[0]!.epochs
      this.#run('INSERT INTO epochs VALUES (?, ?, ?)', epoch, lastHeight, epochHeader)
    })
    this.height = lastHeight
  }

  cut(height: number): void {
    const left = height < this.base ? 0 : height
    this.#atOnce(() => {
      this.#run('DELETE FROM runs WHERE last > ?', left)
      this.#run('DELETE FROM postings WHERE height > ?', left)
      this.#run('DELETE FROM epochs WHERE last > ?', left)
      this.#run('DELETE FROM base WHERE height > ?', left)
      this.#run('DELETE FROM whole WHERE height > ?', left)
    })
    this.height = left
    this.base = Math.min(this.base, left)
  }

  runs(height: number, limit: { maxRuns: number; maxBytes: number }): StoredRun[] {
    return this.#guarded(() => this.#runs(height, limit))
  }

  #runs(height: number, { maxRuns, maxBytes }: { maxRuns: number; maxBytes: number }): StoredRun[] {
    const found: StoredRun[] = []
    if (height <= this.base) return found
    let bytesLeft = maxBytes
    const query = this.#statement('SELECT first, last, crc, bytes FROM runs WHERE last >= ? ORDER BY last')
    for (const row of query.iterate(height) as Iterable<unknown> as Iterable<RunRow>) {
      const { first, last, crc, bytes } = row
      bytesLeft -= bytes.length
      // What follows a rotten run is of no use to anybody.
      if (crc32(bytes) !== Number(crc) || (found.length > 0 && bytesLeft < 0)) break
      found.push({ firstHeight: Number(first), lastHeight: Number(last), bytes })
      if (found.length === maxRuns) break
    }
    return found
  }

  postings(account: PublicKey, { limit, before }: { limit: number; before?: Place | undefined }): Posting[] {
    const { height, index } = before ?? { height: Number.MAX_SAFE_INTEGER, index: 0 }
    interface Row {
      readonly height: bigint
      readonly place: bigint
      readonly nonce: bigint | null
      readonly free: bigint
      readonly granted: bigint
    }
    const rows = this.#all<Row>(
      `SELECT height, place, nonce, free, granted FROM postings
       WHERE account = ? AND (height, place) < (?, ?) ORDER BY height DESC, place DESC LIMIT ?`,
      account,
      height,
      index,
      limit,
    )
    return rows.map((row) => ({
      account,
      height: Number(row.height),
      index: Number(row.place),
      nonce: row.nonce === null ? undefined : Number(row.nonce),
      free: row.free,
      granted: row.granted,
    }))
  }

  askedWith(account: PublicKey, nonce: number): Place[] {
    return this.#all<{ height: bigint; place: bigint }>(
      'SELECT height, place FROM postings WHERE account = ? AND nonce = ? ORDER BY height DESC, place DESC',
      account,
      nonce,
    ).map(({ height, place }) => ({ height: Number(height), index: Number(place) }))
  }

  epochHeaders(until: number, from = 0): Uint8Array[] {
    const query = 'SELECT bytes FROM epochs WHERE epoch >= ? AND epoch < ? ORDER BY epoch'
    return this.#all<{ bytes: Uint8Array }>(query, from, until).map(({ bytes }) => bytes)
  }

  async keepSnapshot(height: number, chunks: Iterable<Uint8Array>): Promise<void> {
    this.#run('DELETE FROM snapshots WHERE height NOT IN (SELECT height FROM whole)')
    let part = 0
    for (const chunk of chunks) {
      this.#run('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)', height, part++, chunk)
      await setImmediate() // a large state has thousands
    }
    this.#atOnce(() => {
      this.#run(
        `DELETE FROM whole
         WHERE height NOT IN (SELECT height FROM base UNION SELECT ifnull(max(last), 0) FROM epochs)`,
      )
      this.#run('INSERT OR REPLACE INTO whole VALUES (?)', height)
      this.#run('DELETE FROM snapshots WHERE height NOT IN (SELECT height FROM whole)')
    })
  }

  snapshot(until = this.height): Snapshot | undefined {
    const query = 'SELECT height FROM whole WHERE height <= ? ORDER BY height DESC LIMIT 1'
    const [row] = this.#all<{ height: bigint }>(query, Math.min(until, this.height))
    return row && { height: Number(row.height), chunks: this.#chunks(row.height) }
  }

  /** Part by part: whoever reads them may take its time. */
  *#chunks(height: bigint): Generator<Uint8Array> {
    for (let part = 0; ; part++) {
      const query = 'SELECT bytes FROM snapshots WHERE height = ? AND part = ?'
      const [row] = this.#all<{ bytes: Uint8Array }>(query, height, part)
      if (!row) return
      yield row.bytes
    }
  }

  keepEvidence(epoch: number, host: PublicKey, evidence: Evidence): void {
    this.#run('INSERT OR IGNORE INTO evidence VALUES (?, ?, ?)', epoch, host, encode(evidence))
  }

  evidence(): KeptEvidence[] {
    const rows = this.#all<{ epoch: bigint; host: PublicKey; bytes: Uint8Array }>('SELECT * FROM evidence')
    return rows.map(({ epoch, host, bytes }) => ({ epoch: Number(epoch), host, evidence: decode(bytes) as Evidence }))
  }

  sync(): boolean {
    // It does not fail where a reader, as an audit, keeps it from its end: it says so.
    return this.#all<{ busy: bigint }>('PRAGMA wal_checkpoint(FULL)')[0]!.busy === 0n
  }

  close(): void {
    this.#database.close()
  }

  #atOnce(change: () => void): void {
    this.#guarded(() => {
      this.#database.exec('BEGIN')
      try {
        change()
        this.#database.exec('COMMIT')
      } catch (error) {
        this.#database.exec('ROLLBACK')
        throw error
      }
    })
  }

  #run(sql: string, ...values: (string | number | bigint | null | Uint8Array)[]): void {
    this.#guarded(() => this.#statement(sql).run(...values))
  }

  #all<T>(sql: string, ...values: (string | number | bigint)[]): T[] {
    return this.#guarded(() => this.#statement(sql).all(...values) as unknown[] as T[])
  }

  /** Prepared once. Whole numbers come back as bigints, since amounts are beyond what a double holds. */
  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#database.prepare(sql)
      statement.setReadBigInts(true)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw chainError(error, this.#file)
    }
  }
}

function chainError(error: unknown, file: string): ChoraleError {
  const code = (error as { readonly errcode?: unknown }).errcode
  if (typeof code !== 'number' || !DAMAGED.includes(code & 0xff)) return diskError(error, file)
  const anew = `move ${file} away, and -wal and -shm beside it, and a node without a seat fetches the chain again`
  const seated = "with a seat, read 'When the chain is damaged' in docs/ledger.md first"
  const what = `the copy of the ledger in ${file} is damaged, the wallet is not: ${anew}; ${seated}`
  return new ChoraleError('config', what, { cause: error })
}
