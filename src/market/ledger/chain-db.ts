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
import { diskError } from '../../dht/store/disk/fs.ts'
import type { ChainStore, KeptEvidence, Posting, StoredRun } from './chain-store.ts'
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
  CREATE TABLE IF NOT EXISTS evidence (epoch INTEGER, host TEXT, bytes BLOB NOT NULL, PRIMARY KEY (epoch, host));
`

interface RunRow {
  readonly first: bigint
  readonly last: bigint
  readonly crc: bigint
  readonly bytes: Uint8Array
}

/** Opens or makes it. Rejects `io`, with what to do about it. */
export function openChainDb(file: string): ChainStore {
  try {
    const database = new DatabaseSync(file)
    database.exec(SCHEMA)
    return new ChainDb(database, file)
  } catch (error) {
    throw diskError(error, file)
  }
}

class ChainDb implements ChainStore {
  height: number
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync, file: string) {
    this.#database = database
    this.#file = file
    const last = this.#all<{ last: bigint | null }>('SELECT max(last) AS last FROM runs')[0]!.last
    this.height = Number(last ?? 0)
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
    this.#atOnce(() => {
      this.#run('DELETE FROM runs WHERE last > ?', height)
      this.#run('DELETE FROM postings WHERE height > ?', height)
      this.#run('DELETE FROM epochs WHERE last > ?', height)
    })
    this.height = height
  }

  runs(height: number, { maxRuns, maxBytes }: { maxRuns: number; maxBytes: number }): StoredRun[] {
    const found: StoredRun[] = []
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

  epochHeaders(until: number): Uint8Array[] {
    return this.#all<{ bytes: Uint8Array }>('SELECT bytes FROM epochs WHERE epoch < ? ORDER BY epoch', until).map(
      ({ bytes }) => bytes,
    )
  }

  async keepSnapshot(height: number, chunks: Iterable<Uint8Array>): Promise<void> {
    this.#run('DELETE FROM snapshots WHERE height NOT IN (SELECT height FROM whole)')
    let part = 0
    for (const chunk of chunks) {
      this.#run('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)', height, part++, chunk)
      await setImmediate() // a large state has thousands
    }
    this.#atOnce(() => {
      this.#run('DELETE FROM whole')
      this.#run('INSERT INTO whole VALUES (?)', height)
      this.#run('DELETE FROM snapshots WHERE height <> ?', height)
    })
  }

  snapshot(): { height: number; chunks: Iterable<Uint8Array> } | undefined {
    const [row] = this.#all<{ height: bigint }>('SELECT height FROM whole WHERE height <= ?', this.height)
    if (!row) return undefined
    const query = this.#statement('SELECT bytes FROM snapshots WHERE height = ? ORDER BY part')
    const rows = query.iterate(row.height) as Iterable<unknown> as Iterable<{ bytes: Uint8Array }>
    return { height: Number(row.height), chunks: bytesOf(rows) }
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
      throw diskError(error, this.#file)
    }
  }
}

function* bytesOf(rows: Iterable<{ readonly bytes: Uint8Array }>): Generator<Uint8Array> {
  for (const { bytes } of rows) yield bytes
}
